"""All work in Python: decode, find faces, crop, run the engine, check, name."""

from __future__ import annotations

from lnlattennet.serving.triton.python_models._pipeline import Pipeline as TritonPythonModel

__all__ = ["TritonPythonModel"]
