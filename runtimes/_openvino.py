"""OpenVINO on the CPU: the engine is its own graph format, one `.xml` with one `.bin`.

OpenVINO computes a graph's bfloat16 parts in bfloat16 and its Q/DQ pairs in 8 bits, wherever they stand, so
the precision of every block is in the graph. Where all blocks are in bf16 or int8 the file also says that the
floats around 8-bit layers may be bfloat16: convolutions then write it themselves, without casts.
"""

from __future__ import annotations

import errno
import os
import platform
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import ExportError
from lnlattennet.machine._hardware import cpu_flags, usable_cpus
from lnlattennet.model._io_spec import OUTPUT_NAMES
from lnlattennet.runtimes._base import (
    Arrays,
    Available,
    BackendInfo,
    BuildSpec,
    EngineFile,
    Runner,
    Unavailable,
    installed,
)

if TYPE_CHECKING:
    from lnlattennet.runtimes._precision import PrecisionPlan

INFO = BackendInfo(name="openvino", complexity=1, packages={"openvino": ()})

_CAPABILITIES = {"int8": "INT8", "bf16": "BF16"}
"""Precision -> its name among the capabilities of OpenVINO's CPU device."""

_FLOATS = ["lnlattennet", "floats"]
"""Path in an engine file to the type that its floats are computed in, spelled as in the precision hint."""

_LAYERS = ("Convolution", "FullyConnected", "MatMul")
_PRECISIONS = {"f32": "fp32", "bf16": "bf16", "f16": "fp16", "I8": "int8", "i8": "int8", "u8": "int8"}
"""End of an implementation's name, such as brgconv_avx512_I8 -> what it computes in."""


def availability() -> Available | Unavailable:
    """Return whether OpenVINO is installed."""
    return installed("openvino", extra="openvino")


def unsupported_reason(plan: PrecisionPlan) -> str | None:
    """Return why this CPU lacks a precision; it has fp32, often int8 and bf16, and never fp16."""
    ov = import_openvino()

    capabilities = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    known = ["fp32", *(precision for precision, name in _CAPABILITIES.items() if name in capabilities)]
    for precision in sorted(plan.precisions):
        if precision not in known:
            return f"OpenVINO has no {precision} on this CPU; it has {', '.join(known)}"
    # With AVX-512 but without these instructions, OpenVINO offers bf16 and emulates it slowly.
    if "bf16" in plan.precisions and platform.machine() == "x86_64" and "avx512_bf16" not in cpu_flags():
        return "this CPU has no bf16 instructions (avx512_bf16), and OpenVINO would be slower for bf16"
    return None


def build(onnx_path: Path, spec: BuildSpec) -> EngineFile:
    """Convert the ONNX file; weights keep their type (the converter's default would halve them)."""
    from lnlattennet.runtimes._machine import features_used
    from lnlattennet.runtimes._requirements import Requirements

    ov = import_openvino()

    path = spec.directory / f"openvino-cpu-{spec.plan.precision}.xml"
    try:
        model = ov.Core().read_model(onnx_path)
        model.set_rt_info("bf16" if spec.plan.precisions <= {"int8", "bf16"} else "f32", _FLOATS)
        ov.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:
        # OpenVINO reports a full disk only as "iostream error".
        if shutil.disk_usage(spec.directory).free < onnx_path.stat().st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise ExportError(f"OpenVINO cannot convert {onnx_path.name}: {error}") from error
    requires = Requirements(
        device="cpu", packages={"openvino": ">=2025.0"}, cpu_features=features_used(spec.plan)
    )
    return EngineFile(path, requires, _layers(_compiled(path, 0)))


def load(engine_file: Path, threads: int = 0) -> Runner:
    """Compile the engine for this machine's CPU, each part in the precision that the graph gives it."""
    compiled = _compiled(engine_file, threads)
    request = compiled.create_infer_request()
    names = [_output_name(output) for output in compiled.outputs]
    # One request owns one set of tensors, so calls from several threads take turns.
    lock = threading.Lock()

    def run(inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        with lock:
            # The outputs are the request's own memory, which is copied before the next call writes it.
            results = request.infer(dict(inputs), share_inputs=True, share_outputs=True)
            return {name: np.array(results[name]) for name in names}

    return run


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry.

    The package would report to Google Analytics that it was imported, and fails to import for a user without
    a home folder, where it keeps an identifier. In an installation without this package it does neither.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _output_name(output: Any) -> str:
    """Return the graph's name of an output; OpenVINO adds the names of values that it finds equal to it."""
    return next((name for name in OUTPUT_NAMES if name in output.names), output.any_name)


def _compiled(path: Path, threads: int) -> Any:
    ov = import_openvino()

    core = ov.Core()
    model = core.read_model(path)
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads or usable_cpus(),
        # Pinned, the threads of two processes that serve the same engine would share a core.
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": float_precision(model),
    }
    return core.compile_model(model, "CPU", settings)


def float_precision(model: Any) -> str:
    """Return the precision in which the float blocks of a model run: OpenVINO's "f32" or "bf16".

    Without being told, OpenVINO would silently compute float32 blocks in bf16 on CPUs that have it.
    """
    return str(model.get_rt_info(_FLOATS).astype(str)) if model.has_rt_info(_FLOATS) else "f32"


def _layers(compiled: Any) -> dict[str, int]:
    """Count layers by the implementation that the CPU plugin chose for them."""
    counts: Counter[str] = Counter()
    for node in compiled.get_runtime_model().get_ops():
        facts = node.get_rt_info()
        if facts["layerType"].astype(str) in _LAYERS:
            ending = facts["primitiveType"].astype(str).rpartition("_")[2]
            counts[_PRECISIONS.get(ending, ending)] += 1
    return dict(counts)
