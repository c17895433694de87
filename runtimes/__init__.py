"""Inference runtimes: one module per backend that builds, loads and describes engines.

from lnlattennet.runtimes._registry import backend_named
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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

_MODULES = {
    "BACKENDS": "_registry",
    "PrecisionPlan": "_precision",
    "Requirements": "_requirements",
    "TensorRTBuilderConfig": "tensorrt._builder_config",
    "backend_named": "_registry",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, '_base')}"), name)
