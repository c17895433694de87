"""Inference runtimes: one module per backend that builds, loads and describes engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names

if TYPE_CHECKING:
    from lnlattennet.runtimes._base import (
        Available,
        Backend,
        BackendInfo,
        BatchRange,
        BuildSpec,
        EngineFile,
        Runner,
        Unavailable,
    )
    from lnlattennet.runtimes._precision import PrecisionPlan
    from lnlattennet.runtimes._registry import BACKENDS, backend_named
    from lnlattennet.runtimes._requirements import Requirements
    from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig

__all__ = [
    "BACKENDS",
    "Available",
    "Backend",
    "BackendInfo",
    "BatchRange",
    "BuildSpec",
    "EngineFile",
    "PrecisionPlan",
    "Requirements",
    "Runner",
    "TensorRTBuilderConfig",
    "Unavailable",
    "backend_named",
]

__getattr__ = lazy_names(__name__, __file__)
