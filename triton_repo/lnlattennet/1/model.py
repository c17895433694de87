"""The bundle's selected engine."""

from __future__ import annotations

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.serving.triton._python_model import PythonModel
from lnlattennet.serving.triton._stages import EngineStep, Stage, each, finite_faces, together


class TritonPythonModel(PythonModel):
    """All requests of an execution go through the engine as one batch."""

    def stages(self, bundle: Bundle) -> list[Stage]:
        """Check each request, then run the engine."""
        return [each(finite_faces), together(EngineStep(bundle.runner(), INPUT_NAME))]
