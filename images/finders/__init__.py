"""Face finders: one module per detector that finds every face of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names

if TYPE_CHECKING:
    from lnlattennet.images.finders._base import FaceFinder, FinderInfo, FoundFace, Point
    from lnlattennet.images.finders._registry import FINDERS, finder_infos, finder_named

__all__ = [
    "FINDERS",
    "FaceFinder",
    "FinderInfo",
    "FoundFace",
    "Point",
    "finder_infos",
    "finder_named",
]

__getattr__ = lazy_names(__name__, __file__)
