"""Every face of an image."""

from __future__ import annotations

import json
from typing import Any

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.serving.triton._python_model import PythonModel
from lnlattennet.serving.triton._stages import (
    AnswerStep,
    Arrays,
    EngineStep,
    EveryFaceStep,
    Stage,
    each,
    face_limits,
    in_batches,
    one_image,
    together,
)


class TritonPythonModel(PythonModel):
    """Images are prepared one request at a time, then the faces of all go through the engine as one batch."""

    def stages(self, bundle: Bundle) -> list[Stage]:
        """Decode and crop, run the engine in batches that it accepts, check and name."""
        largest = bundle.manifest.engine(bundle.manifest.selected).batch[2]
        return [
            each(EveryFaceStep(bundle.manifest)),
            together(in_batches(EngineStep(bundle.runner()), largest)),
            each(AnswerStep(bundle.manifest)),
            each(one_image),
        ]

    def read(self, request: Any) -> Arrays:
        """Return the image, and the limits that the request's parameters set."""
        return {**super().read(request), **face_limits(json.loads(request.parameters() or "{}"))}
