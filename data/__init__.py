"""Loaders for public data sets of facial expressions; none of their images are part of this project."""

from lnlattennet.data._format import DatasetFormat
from lnlattennet.data._prepare import load_prepared, prepared_faces
from lnlattennet.data._records import Face, FaceData
from lnlattennet.data._registry import FORMATS, load_dataset

__all__ = ["FORMATS", "DatasetFormat", "Face", "FaceData", "load_dataset", "load_prepared", "prepared_faces"]
