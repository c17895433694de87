"""Ready crops of faces to normalized faces."""

from __future__ import annotations

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.serving.triton._crop_stage import CropStep
from lnlattennet.serving.triton._python_model import PythonModel
from lnlattennet.serving.triton._stages import Stage, each


class TritonPythonModel(PythonModel):
    """Each request is handled alone: crops that are refused fail only their own request."""

    def stages(self, bundle: Bundle) -> list[Stage]:
        """Resize and normalize."""
        return [each(CropStep(bundle.manifest))]
