"""NVIDIA TensorRT: module `tensorrt` if it is installed, else `tensorrt_rtx` (same Python API).

TensorRT-RTX builds real engines ahead of time on a machine with no GPU; running one needs a GPU.
Networks are strongly typed, the only kind of TensorRT 11: the ONNX graph decides the precision.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from lnlattennet.errors import ExportError, UnavailableError
from lnlattennet.runtimes._base import Available, BackendInfo, BuildSpec, EngineFile, Runner, Unavailable
from lnlattennet.runtimes._precision import PrecisionPlan
from lnlattennet.runtimes.tensorrt import _library as tensorrt_module
from lnlattennet.runtimes.tensorrt._builder import build_plan
from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig
from lnlattennet.runtimes.tensorrt._compatibility import (
    RUNNER_PACKAGES,
    requirements,
    unsupported_precision,
)
from lnlattennet.runtimes.tensorrt._cuda_memory import why_no_gpu
from lnlattennet.runtimes.tensorrt._library import RTX

INFO = BackendInfo(
    name="tensorrt",
    complexity=2,
    packages={"tensorrt": ("tensorrt-cu13", "tensorrt-cu12"), "tensorrt-rtx": ()},
    runner_packages=RUNNER_PACKAGES,
    version_bound=True,
    symmetric_int8=True,
    builder_flags=(
        "--timing-cache",
        "--builder-optimization-level",
        "--hardware-compatibility-level",
        "--version-compatible",
    ),
    triton_platform="tensorrt_plan",
    triton_file="model.plan",
)

_VERSION_OFFSET = 24
"""A plan begins with a magic tag ("?trt") and holds major, minor and patch as bytes from here on:
https://github.com/NVIDIA/TensorRT/issues/3073"""


def availability() -> Available | Unavailable:
    """Return the installed version; TensorRT proper needs a GPU to build, TensorRT-RTX only to run."""
    name = tensorrt_module.module_name()
    if name is None:
        return Unavailable(tensorrt_module.NOT_INSTALLED)
    no_gpu = why_no_gpu()
    if no_gpu and name != RTX:
        return Unavailable(f"TensorRT builds engines only on a machine with a GPU: {no_gpu}")
    return Available({name: str(importlib.import_module(name).__version__)}, run_blocker=no_gpu or None)


def unsupported_reason(plan: PrecisionPlan) -> str | None:
    """Return why the installed package, or the GPU if there is one, cannot give the plan's precisions."""
    return unsupported_precision(tensorrt_module.module(), plan)


def build(onnx_path: Path, spec: BuildSpec) -> EngineFile:
    """Build an engine; without a GPU ``layers`` is what the strongly typed network demands.

    Raises:
        ExportError: TensorRT cannot parse or build it, or lacks one of ``spec.builder_config``.
        KeyboardInterrupt: Ctrl-C, once the builder has stopped; nothing is written.
    """
    trt = tensorrt_module.module()
    options = spec.builder_config or TensorRTBuilderConfig()
    content, layers = build_plan(trt, onnx_path, spec, options)
    path = spec.directory / f"{trt.__name__.replace('_', '-')}-{spec.plan.precision}.plan"
    path.write_bytes(content)
    return EngineFile(path, requirements(trt, spec.plan, options), layers)


def load(engine_file: Path, threads: int = 0) -> Runner:
    """Deserialize an engine on the current CUDA device; ``threads`` has no effect on a GPU.

    Only for files whose hash a bundle has confirmed: a plan holds code for the GPU.

    Raises:
        ExportError: not a plan, or one of another version or for another GPU.
        UnavailableError: no TensorRT, or no GPU.
    """
    trt = tensorrt_module.module()
    content = engine_file.read_bytes()
    _refuse_other_versions(trt, engine_file.name, content)
    no_gpu = why_no_gpu()
    if no_gpu:
        raise UnavailableError(f"{engine_file.name} runs on a GPU only: {no_gpu}")
    from lnlattennet.runtimes.tensorrt._runner import EngineRunner

    tensorrt_module.forget_errors()
    engine = trt.Runtime(tensorrt_module.logger(trt)).deserialize_cuda_engine(content)
    if engine is None:
        raise ExportError(_foreign(trt, engine_file.name, tensorrt_module.errors()))
    return EngineRunner(trt, engine)


def _refuse_other_versions(trt: ModuleType, name: str, content: bytes) -> None:
    """Refuse what cannot load before TensorRT sees it; TensorRT itself checks plans of earlier versions."""
    rtx = trt.__name__ == RTX
    if content[1:4] != b"trt":
        # NVIDIA does not document that every kind of plan of TensorRT proper begins so.
        if rtx:
            raise ExportError(_foreign(trt, name, "it is not an engine of TensorRT"))
        return
    built_with = tuple(content[_VERSION_OFFSET : _VERSION_OFFSET + 3])
    installed = tuple(int(part) for part in str(trt.__version__).split(".")[:3])
    if built_with > installed or (rtx and built_with != installed):
        raise ExportError(_foreign(trt, name, f"it was built with {'.'.join(map(str, built_with))}"))


def _foreign(trt: ModuleType, name: str, reason: str) -> str:
    return (
        f"{name} does not load with {tensorrt_module.display_name(trt)} on this machine: {reason}. A plan "
        "runs only with the version and the GPUs that it was built for; export again here"
    )
