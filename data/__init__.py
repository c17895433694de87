"""Loaders for public data sets of facial expressions; none of their images are part of this project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names

if TYPE_CHECKING:
    from lnlattennet.data._format import DatasetFormat
    from lnlattennet.data._prepare import load_prepared, prepared_faces
    from lnlattennet.data._records import Face, FaceData
    from lnlattennet.data._registry import FORMATS, load_dataset

__all__ = ["FORMATS", "DatasetFormat", "Face", "FaceData", "load_dataset", "load_prepared", "prepared_faces"]

__getattr__ = lazy_names(__name__, __file__)
