"""Export of a checkpoint: ONNX, engines of every runtime, verification, selection, and the bundle."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lnlattennet.bundle._export_options import (
        CalibrationOptions,
        ExportOptions,
        SelectionOptions,
        VerificationOptions,
    )
    from lnlattennet.export._pipeline import export_engine
    from lnlattennet.export._plan import ExportPlan, plan_export

__all__ = [
    "CalibrationOptions",
    "ExportOptions",
    "ExportPlan",
    "SelectionOptions",
    "VerificationOptions",
    "export_engine",
    "plan_export",
]

_HOMES = {"ExportPlan": "export._plan", "export_engine": "export._pipeline", "plan_export": "export._plan"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562): the pipeline needs torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, "bundle._export_options")
    return getattr(importlib.import_module(f"lnlattennet.{home}"), name)
