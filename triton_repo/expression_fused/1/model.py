"""The whole ensemble in one model."""

from __future__ import annotations

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.serving.triton._python_model import PythonModel
from lnlattennet.serving.triton._stages import AnswerStep, EngineStep, FaceStep, Stage, each, together


class TritonPythonModel(PythonModel):
    """Images are prepared one request at a time, then all faces go through the engine as one batch."""

    def stages(self, bundle: Bundle) -> list[Stage]:
        """Decode and crop, run the engine, check and name."""
        return [
            each(FaceStep(bundle.manifest)),
            together(EngineStep(bundle.runner())),
            each(AnswerStep(bundle.manifest)),
        ]
