"""GPUs and drivers that a TensorRT engine is built for."""

from __future__ import annotations

from importlib import metadata
from types import ModuleType
from typing import Any

from packaging.version import Version

from lnlattennet.runtimes._precision import PrecisionPlan
from lnlattennet.runtimes._requirements import Requirements
from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig
from lnlattennet.runtimes.tensorrt._cuda_memory import compute_capability, why_no_gpu
from lnlattennet.runtimes.tensorrt._library import RTX

RUNNER_PACKAGES = {"cuda-bindings": ">=12.8"}
"""Packages that running an engine takes beside TensorRT itself."""

_DATA_TYPES = {"fp32": "FLOAT", "bf16": "BF16", "fp16": "HALF", "fp8": "FP8", "int8": "INT8"}

_FIRST_CAPABILITY = {"bf16": "8.0", "fp8": "8.9"}
"""Precision -> oldest compute capability; TensorRT-RTX's builder itself refuses bf16 for 7.5 and fp8 for 8.6:
https://docs.nvidia.com/deeplearning/tensorrt-rtx/latest/getting-started/support-matrix.html"""

_RTX_DEFAULT = "8.0"
"""An engine of TensorRT-RTX runs on 8.0 and later unless the builder is configured otherwise:
https://docs.nvidia.com/deeplearning/tensorrt-rtx/latest/inference-library/cpu-engines.html"""

_AMPERE_AND_LATER = ("8.0", "8.6", "8.7", "8.9", "9.0", "10.0", "10.3", "12.0", "12.1")
"""https://developer.nvidia.com/cuda-gpus"""

_DRIVERS = {13: "580", 12: "525"}
"""CUDA's major version -> oldest driver:
https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html"""


def unsupported_precision(trt: ModuleType, plan: PrecisionPlan) -> str | None:
    """Return why this package, or this machine's GPU if it has one, cannot give the plan's precisions."""
    gpu = "" if why_no_gpu() else compute_capability()
    for precision in sorted(plan.precisions):
        if not hasattr(trt.DataType, _DATA_TYPES[precision]):
            return f"{trt.__name__} {trt.__version__} does not have {precision}; upgrade it"
        needed = _FIRST_CAPABILITY.get(precision, "0.0")
        if gpu and Version(gpu) < Version(needed):
            return f"{precision} needs compute capability {needed}, this machine's GPU has {gpu}"
    return None


def set_target(trt: ModuleType, config: Any, plan: PrecisionPlan) -> None:
    """Leave out the GPUs that lack a precision of the plan: TensorRT-RTX would find out only at run time."""
    if trt.__name__ != RTX or _oldest(plan) == _RTX_DEFAULT:
        return
    names = _rtx_capabilities(trt, plan)
    config.num_compute_capabilities = len(names)
    for index, name in enumerate(names):
        config.set_compute_capability(trt.ComputeCapability.__members__[name], index)


def requirements(trt: ModuleType, plan: PrecisionPlan, builder_config: TensorRTBuilderConfig) -> Requirements:
    """Return the requirements of an engine that was built here."""
    if trt.__name__ == RTX:
        capabilities = list(_rtx_capabilities(trt, plan).values())
    else:
        capabilities = _runs_on(compute_capability(), builder_config.hardware_compatibility, plan)
    return Requirements(
        device="cuda",
        packages={trt.__name__: _specifier(str(trt.__version__), builder_config), **RUNNER_PACKAGES},
        compute_capabilities=capabilities,
        driver=_oldest_driver(trt.__name__),
    )


def _runs_on(own: str, level: str, plan: PrecisionPlan) -> list[str]:
    if level != "ampere+":
        return [own]
    known = {name for name in _AMPERE_AND_LATER if Version(name) >= Version(_oldest(plan))}
    return sorted({own, *known}, key=Version)


def _specifier(version: str, builder_config: TensorRTBuilderConfig) -> str:
    if builder_config.version_compatible:
        return f">={version},<{int(version.partition('.')[0]) + 1}"
    return f"=={version}"


def _oldest_driver(package: str) -> str:
    for cuda, driver in _DRIVERS.items():
        try:
            metadata.version(f"{package}_cu{cuda}")
        except metadata.PackageNotFoundError:
            continue
        return driver
    return ""


def _rtx_capabilities(trt: ModuleType, plan: PrecisionPlan) -> dict[str, str]:
    """Return name in the builder's enumeration, such as "SM89", -> compute capability, such as "8.9"."""
    names = [name for name in trt.ComputeCapability.__members__ if name.startswith("SM")]
    capabilities = {name: f"{name[2:-1]}.{name[-1]}" for name in names}
    return {name: sm for name, sm in capabilities.items() if Version(sm) >= Version(_oldest(plan))}


def _oldest(plan: PrecisionPlan) -> str:
    capabilities = [_FIRST_CAPABILITY[name] for name in plan.precisions if name in _FIRST_CAPABILITY]
    return max([_RTX_DEFAULT, *capabilities], key=Version)
