"""Prediction of images by a bundle in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names

if TYPE_CHECKING:
    from lnlattennet.serving.inference._predictor import LocalPredictor, load

__all__ = [
    "LocalPredictor",
    "load",
]

__getattr__ = lazy_names(__name__, __file__)
