"""The model `expression_pipeline`: all work in Python, for every public model."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lnlattennet.errors import UsageError
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.runtimes._base import Runner
from lnlattennet.serving.triton._model_names import EVERY, FACE, IMAGE
from lnlattennet.serving.triton._scheduling import threads_of_instance
from lnlattennet.serving.triton.python_models._crop_stage import CROP, CropStep
from lnlattennet.serving.triton.python_models._python_model import PythonModel
from lnlattennet.serving.triton.python_models._served_bundle import ServedBundle
from lnlattennet.serving.triton.python_models._stages import Arrays, Stage, each, in_batches, routed, together
from lnlattennet.serving.triton.python_models._steps import (
    AnswerStep,
    EngineStep,
    EveryFaceStep,
    FaceStep,
    every_face,
    face_limits,
    finite_faces,
)


class Pipeline(PythonModel):
    """Images are prepared one request at a time, then the faces of all go through the engine as one batch."""

    def stages(self, config: Mapping[str, Any], folder: Path) -> list[Stage]:
        """Verify the bundle, and load its engine and its face finder."""
        bundle = ServedBundle.load((folder / config["parameters"]["bundle_path"]["string_value"]).resolve())
        preprocessing = bundle.preprocessing
        threads = threads_of_instance(config)
        cv2.setNumThreads(threads)
        runner = bundle.runner(threads)
        _warm_up(runner, preprocessing.size)
        sources = {
            IMAGE: each(FaceStep(preprocessing)),
            CROP: each(CropStep(preprocessing)),
            FACE: each(finite_faces),
        }
        answer = [
            together(in_batches(EngineStep(runner), bundle.largest_batch)),
            each(AnswerStep(bundle.class_names, bundle.regions)),
        ]
        faces = {f"{name} to {FACE}": [source] for name, source in sources.items()}
        answers = {f"{name} to answer": [source, *answer] for name, source in sources.items()}
        every = {
            f"{IMAGE} to every face": [each(EveryFaceStep(preprocessing)), *answer, each(every_face(EVERY))]
        }
        return [routed(faces | answers | every)]

    def read(self, request: Any) -> tuple[str, Arrays]:
        """Return the route, and the inputs; for every face also the limits that the parameters set."""
        arrays: dict[str, Any] = super().read(request)
        if len(arrays) != 1:
            raise UsageError(f"{self._name} takes one input, got {sorted(arrays) or 'none'}")
        goal = _goal(request.requested_output_names())
        if goal == "every face":
            arrays |= face_limits(json.loads(request.parameters() or "{}"))
        return f"{next(iter(arrays))} to {goal}", arrays


def _goal(outputs: Collection[str]) -> str:
    if any(name.startswith(EVERY) for name in outputs):
        return "every face"
    return FACE if FACE in outputs else "answer"


def _warm_up(runner: Runner, size: int) -> None:
    # The first call allocates: here, before the model is ready.
    runner({INPUT_NAME: np.zeros((1, 3, size, size), np.float32)})
