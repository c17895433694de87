"""Encoded JPEG or PNG image to a normalized face crop."""

from __future__ import annotations

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.serving.triton._python_model import PythonModel
from lnlattennet.serving.triton._stages import FaceStep, Stage, each


class TritonPythonModel(PythonModel):
    """Each request is handled alone: a damaged image fails only its own request."""

    def stages(self, bundle: Bundle) -> list[Stage]:
        """Decode, find the face, crop and normalize."""
        return [each(FaceStep(bundle.manifest))]
