"""OpenVINO on the CPU: the engine is its own graph format, one `.xml` with one `.bin`."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import ExportError
from lnlattennet.export.backends.base import Arrays, Available, BuildSpec, EngineFile, Runner, Unavailable


def availability() -> Available | Unavailable:
    """Say whether OpenVINO is installed."""
    try:
        return Available({"openvino": metadata.version("openvino")})
    except metadata.PackageNotFoundError:
        return Unavailable(
            "the Python package 'openvino' is not installed: pip install 'lnlattennet[openvino]'"
        )


def build(onnx_path: Path, spec: BuildSpec) -> EngineFile:
    """Convert the ONNX file; weights stay float32 (the converter's default would halve them)."""
    import openvino as ov

    path = spec.directory / "openvino-cpu-fp32.xml"
    try:
        ov.save_model(ov.Core().read_model(onnx_path), path, compress_to_fp16=False)
    except RuntimeError as error:
        # OpenVINO does not say why a write failed; without this a full disk reads "iostream error".
        if shutil.disk_usage(spec.directory).free < onnx_path.stat().st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise ExportError(f"OpenVINO cannot convert {onnx_path.name}: {error}") from error
    return EngineFile(path, {"device": "cpu"})


def load(engine_file: Path, threads: int = 0) -> Runner:
    """Compile the engine for this machine's CPU, in float32."""
    import openvino as ov

    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        # On CPUs with bf16 units OpenVINO would silently compute in bf16.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    return _CompiledRunner(ov.Core().compile_model(engine_file, "CPU", settings))


class _CompiledRunner:
    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()
        self._names = [output.any_name for output in compiled.outputs]
        # One request owns one set of tensors, so calls from several threads take turns.
        self._lock = threading.Lock()

    def __call__(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        with self._lock:
            results = self._request.infer(dict(inputs), share_inputs=True)
            return {name: np.array(results[name]) for name in self._names}
