"""Loaders for the field's public data sets; none of their images are part of this project."""

from lnlattennet.data._layout import Layout
from lnlattennet.data._prepare import load_prepared, prepared_faces
from lnlattennet.data._records import Face, FaceData
from lnlattennet.data._registry import FORMATS, open_data

__all__ = ["FORMATS", "Face", "FaceData", "Layout", "load_prepared", "open_data", "prepared_faces"]
