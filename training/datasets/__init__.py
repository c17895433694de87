"""Loaders for the field's public data sets; none of their images are part of this project."""

from lnlattennet.training.datasets.layout import Layout
from lnlattennet.training.datasets.opening import FORMATS, open_data
from lnlattennet.training.datasets.prepare import load_prepared, prepared_faces
from lnlattennet.training.datasets.records import Face, FaceData

__all__ = ["FORMATS", "Face", "FaceData", "Layout", "load_prepared", "open_data", "prepared_faces"]
