"""Export of a checkpoint: ONNX, engines of every runtime, verification, selection, and the bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names

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

__getattr__ = lazy_names(__name__, __file__)
