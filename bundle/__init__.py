"""Exported bundle: manifest, engines, predictions and compatibility checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names

if TYPE_CHECKING:
    from lnlattennet.bundle._bundle import Bundle
    from lnlattennet.bundle._manifest import EngineRecord, Manifest, read_manifest
    from lnlattennet.bundle._prediction import Prediction, draw_overlays, save_overlays

__all__ = [
    "Bundle",
    "EngineRecord",
    "Manifest",
    "Prediction",
    "draw_overlays",
    "read_manifest",
    "save_overlays",
]

__getattr__ = lazy_names(__name__, __file__)
