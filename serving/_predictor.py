"""Predictor that runs a bundle in this process: images in, predictions out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._prediction import Prediction, predictions_from_outputs
from lnlattennet.images._face_crop import FaceCrop, FaceCropper
from lnlattennet.images._read import ImageSource


def load(path: Path | str, engine: str | None = None, threads: int = 0) -> LocalPredictor:
    """Load a bundle that export-engine wrote, ready to predict images in this process, without torch.

        model = lnlattennet.load("build/demo")
        prediction = model.predict("face.jpg")
        print(prediction.label, prediction.probabilities)
        prediction.save_overlay("weights.png")

    Args:
        path: the bundle's folder.
        engine: name of one of its engines; None takes the selected one.
        threads: threads of the engine; 0 lets its runtime choose.

    Raises:
        BundleError: there is no bundle, a file in it was changed, or it has no engine of that name.
        UnavailableError: the engine's runtime cannot run it here.
    """
    return LocalPredictor(Bundle.load(path), engine, threads)


class LocalPredictor:
    """Runs a bundle's engine in this process; the predictions are those of the server.

    One predictor may be used by many threads. ``load`` makes one and describes the arguments and errors.
    """

    def __init__(self, bundle: Bundle, engine: str | None = None, threads: int = 0) -> None:
        self._manifest = bundle.manifest
        self._crop_face = FaceCropper(bundle.manifest.preprocessing)
        self._run = bundle.engine(engine, threads)

    @overload
    def predict(self, images: ImageSource) -> Prediction: ...  # type: ignore[overload-overlap]

    @overload
    def predict(self, images: Sequence[ImageSource]) -> list[Prediction]: ...

    def predict(self, images: Any) -> Prediction | list[Prediction]:
        """Predict the expression on the largest face of an image, or of each image of a list.

        Args:
            images: path of a JPEG or PNG file, its bytes, a binary file object, a Pillow image, or an RGB
                array uint8 [H, W, 3]; or a list of them.

        Returns:
            One prediction for an image, a list in the same order for a list. Each holds its decoded image.

        Raises:
            EngineOutputError: an output of the engine breaks a rule of ``check_outputs``.
            ImageError: an image is damaged or unsupported; no image of a list is predicted then.
        """
        if isinstance(images, list | tuple):
            return self._predict(self._crop_face.crop_batch(images)) if images else []
        return self._predict([self._crop_face(images)])[0]

    def _predict(self, crops: list[FaceCrop]) -> list[Prediction]:
        faces = self._manifest.preprocessing.normalize(np.stack([crop.face for crop in crops]))
        return predictions_from_outputs(
            self._run(faces),
            self._manifest.class_names,
            crops,
            [crop.image for crop in crops],
        )
