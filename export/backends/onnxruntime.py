"""ONNX Runtime on the CPU: the engine is the portable ONNX file itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.export.backends.base import Arrays, Available, BuildSpec, EngineFile, Runner, Unavailable


def availability() -> Available | Unavailable:
    """ONNX Runtime is a core dependency, so it is missing only from a damaged installation."""
    try:
        return Available({"onnxruntime": metadata.version("onnxruntime")})
    except metadata.PackageNotFoundError:
        return Unavailable("the Python package 'onnxruntime' is not installed: pip install onnxruntime")


def build(onnx_path: Path, spec: BuildSpec) -> EngineFile:
    """Take the ONNX file as it is: a graph optimised ahead of time would be tied to this machine's CPU."""
    return EngineFile(onnx_path, {"device": "cpu"})


def load(engine_file: Path, threads: int = 0) -> Runner:
    """Open a session on the CPU provider."""
    # Since 1.29 ONNX Runtime reports its use to its makers unless told otherwise before it is imported.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # Idle workers that spin steal the core of whatever shares the machine (a server, other engines).
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return _SessionRunner(ort.InferenceSession(str(engine_file), options, ["CPUExecutionProvider"]))


class _SessionRunner:
    def __init__(self, session: Any) -> None:
        self._session = session
        self._names = [output.name for output in session.get_outputs()]

    def __call__(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        return dict(zip(self._names, self._session.run(self._names, dict(inputs)), strict=True))
