"""OpenVINO on the CPU: the engine is its own graph format, one `.xml` with one `.bin`.

OpenVINO computes a graph's bfloat16 parts in bfloat16 and its Q/DQ pairs in 8 bits, wherever they stand, so
the precision of every block is in the graph. Where all blocks are in bf16 or int8 the file also says that the
floats around 8-bit layers may be bfloat16: convolutions then write it themselves, without casts.
"""

from __future__ import annotations

import errno
import functools
import importlib
import os
import platform
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
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

_SIZES = (8, 1)
"""Batch sizes that a graph is compiled for; a batch of another size is computed in pieces.

With a fixed size OpenVINO plans layouts and memory once; a graph for any size takes 1.3 times as long.
"""

INFO = BackendInfo(name="openvino", complexity=1, packages={"openvino": ()}, channels_last=True)

_CAPABILITIES = {"int8": "INT8", "bf16": "BF16"}
"""Precision -> its name among the capabilities of OpenVINO's CPU device."""

_FLOATS = ["lnlattennet", "floats"]
"""Path in an engine file to the type that its floats are computed in, spelled as in the precision hint."""

_CONVERTER = "openvino.tools.ovc"

_LAYERS = ("Convolution", "FullyConnected", "MatMul")
_PRECISIONS = {"f32": "fp32", "bf16": "bf16", "f16": "fp16", "I8": "int8", "i8": "int8", "u8": "int8"}
"""End of an implementation's name, such as brgconv_avx512_I8 -> what it computes in."""


def availability() -> Available | Unavailable:
    """Return whether OpenVINO is installed."""
    return installed("openvino", extra="openvino")


def unsupported_reason(plan: PrecisionPlan) -> str | None:
    """Return why this CPU lacks a precision; it has fp32, often int8 and bf16, and never fp16."""
    capabilities = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
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
        model = _core().read_model(onnx_path)
        model.set_rt_info("bf16" if spec.plan.precisions <= {"int8", "bf16"} else "f32", _FLOATS)
        ov.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:
        # OpenVINO reports a full disk only as "iostream error". An engine is larger than its ONNX file: of a
        # small network, three times.
        if shutil.disk_usage(spec.directory).free < 4 * onnx_path.stat().st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise ExportError(f"OpenVINO cannot convert {onnx_path.name}: {error}") from error
    requires = Requirements(
        device="cpu", packages={"openvino": ">=2025.0"}, cpu_features=features_used(spec.plan)
    )
    return EngineFile(path, requires, _layers(_compiled(_core().read_model(path), 1, 0)))


def load(engine_file: Path, threads: int = 0) -> Runner:
    """Compile the engine for this machine's CPU, each part in the precision that the graph gives it.

    The graph for the larger size of ``_SIZES`` is compiled by the first batch that has so many faces.

    Args:
        engine_file: the `.xml` file.
        threads: number; 0 is one for every core, each pinned to its core.
    """
    graphs = _Graphs(engine_file, threads)
    # One request owns one set of tensors, so calls from several threads take turns.
    lock = threading.Lock()

    def run(inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        [(name, faces)] = inputs.items()
        with lock:
            return graphs.run(name, faces)

    return run


class _Graphs:
    """An engine file and the graphs compiled of it, each with one request."""

    def __init__(self, path: Path, threads: int) -> None:
        self._model = _core().read_model(path)
        self._threads = threads
        single = self._compiled(1)
        self._shapes = {_output_name(output): tuple(output.shape)[1:] for output in single.outputs}
        self._requests = {1: single.create_infer_request()}

    def run(self, name: str, faces: NDArray[np.float32]) -> Arrays:
        """Return the outputs for faces [B, 3, S, S], B of 0 or more, given to the input of that name."""
        outputs = {
            output: np.empty((len(faces), *shape), np.float32) for output, shape in self._shapes.items()
        }
        for piece in _pieces(len(faces)):
            request = self._request(piece.stop - piece.start)
            # What it gives is the request's own memory, which the next call writes.
            results = request.infer({name: faces[piece]}, share_inputs=True, share_outputs=True)
            for output, values in results.items():
                outputs[_output_name(output)][piece] = values
        return outputs

    def _request(self, size: int) -> Any:
        if size not in self._requests:
            self._requests[size] = self._compiled(size).create_infer_request()
        return self._requests[size]

    def _compiled(self, size: int) -> Any:
        return _compiled(self._model, size, self._threads)


def _pieces(count: int) -> Iterator[slice]:
    """Split a batch into as few pieces of the sizes ``_SIZES`` as it takes."""
    start = 0
    for size in _SIZES:
        while start + size <= count:
            yield slice(start, start + size)
            start += size


def _core() -> Any:
    return _core_of(os.getpid())


@functools.cache
def _core_of(process: int) -> Any:
    """Return the one Core of a process, which lives as long as it; a forked process needs its own threads.

    OpenVINO's CPU plugin (2026.4.1) changes the stack that signal handlers of this thread run on: where
    several Cores came and went, Ctrl-C has crashed Python.
    """
    return import_openvino().Core()


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry and, until it is asked for, its model converter.

    The package would report to Google Analytics that it was imported, and fails to import for a user without
    a home folder, where it keeps an identifier. In an installation without this package it does neither.
    The converter takes three quarters of the import's time, and 10 MB of every process.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    if "openvino" not in sys.modules and _CONVERTER not in sys.modules:
        # The package goes on without it.
        sys.modules[_CONVERTER] = None  # type: ignore[assignment]
        try:
            import openvino
        finally:
            del sys.modules[_CONVERTER]
        openvino.__getattr__ = _converter
    import openvino

    return openvino


def _converter(name: str) -> Any:
    """Return ``openvino.convert_model`` for whoever else uses the package in this process."""
    if name != "convert_model":
        raise AttributeError(f"module 'openvino' has no attribute '{name}'")
    return getattr(importlib.import_module(_CONVERTER), name)


def _output_name(output: Any) -> str:
    """Return the graph's name of an output; OpenVINO adds the names of values that it finds equal to it."""
    return next((name for name in OUTPUT_NAMES if name in output.names), output.any_name)


def _compiled(model: Any, size: int, threads: int) -> Any:
    fixed = model.clone()
    fixed.reshape({node.any_name: [size, *list(node.partial_shape)[1:]] for node in fixed.inputs})
    # Threads that are not pinned may wake on one core and share it for milliseconds. Pinned, those of two
    # processes would share one for good: of a server's two instances, or of two containers with a quota.
    alone = threads == 0 and usable_cpus() == len(os.sched_getaffinity(0))
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads or usable_cpus(),
        "ENABLE_CPU_PINNING": alone,
        "INFERENCE_PRECISION_HINT": float_precision(model),
    }
    return _core().compile_model(fixed, "CPU", settings)


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
