"""Predictor that runs a bundle in this process: images in, predictions out."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._prediction import Prediction, predictions_from_outputs
from lnlattennet.images._face_crop import FaceCrop, FaceCropper, check_face_limits
from lnlattennet.images._read import ImageSource
from lnlattennet.images.finders._registry import version_note

_log = logging.getLogger(__name__)


def load(path: Path | str, engine: str | None = None, threads: int = 0) -> LocalPredictor:
    """Load a bundle that export-engine wrote, ready to predict images in this process, without torch.

        model = lnlattennet.load("build/demo")
        prediction = model.predict("face.jpg")
        print(prediction.label, prediction.probabilities)
        prediction.save_overlay("weights.png")

    Args:
        path: the bundle's folder.
        engine: name of one of its engines; None takes the selected one, "any" one that runs here.
        threads: threads of the engine; 0 takes the CPUs that this process may use, and OpenVINO pins them:
            where several processes share the CPUs, give each its number.

    Raises:
        BundleError: there is no bundle, a file in it was changed, or it has no engine of that name.
        UnavailableError: the engine's runtime cannot run it here.
    """
    return LocalPredictor(Bundle.load(path), engine, threads)


class LocalPredictor:
    """Runs a bundle's engine in this process; the predictions are those of the server.

    One predictor may be used by many threads. It warns if the face finder has another version here than in
    training. ``load`` makes one and describes the arguments and errors.
    """

    def __init__(self, bundle: Bundle, engine: str | None = None, threads: int = 0) -> None:
        self._arguments = bundle, engine, threads
        self._manifest = bundle.manifest
        preprocessing = bundle.manifest.preprocessing
        self._crop = FaceCropper(preprocessing)
        if note := version_note(preprocessing.face_finder, preprocessing.face_finder_version):
            _log.warning("%s", note)
        self._preprocessing_id = preprocessing.id
        self._run = bundle.engine(engine, threads)
        self._model_hash = bundle.manifest.model_hash(bundle.engine_name(engine, threads))

    def __reduce__(self) -> tuple[Any, tuple[Bundle, str | None, int]]:
        """Pickle as a bundle is: another process loads an engine and a face finder of its own."""
        return type(self), self._arguments

    @overload
    def predict(self, images: ImageSource) -> Prediction: ...  # type: ignore[overload-overlap]

    @overload
    def predict(self, images: Sequence[ImageSource]) -> list[Prediction]: ...

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, images: ImageSource, max_faces: int, min_face: float = 0
    ) -> list[Prediction]: ...

    @overload
    def predict(
        self, images: Sequence[ImageSource], max_faces: int, min_face: float = 0
    ) -> list[list[Prediction]]: ...

    def predict(self, images: Any, max_faces: int | None = None, min_face: float = 0) -> Any:
        """Predict the expression on the largest face, or on every face, of an image or of each of a list.

        Args:
            images: path of an image file (JPEG, PNG, TIFF, BMP, WebP or PPM), the bytes of a JPEG or PNG
                file, a binary file object with them, a Pillow image, or an RGB array uint8 [H, W, 3]; or a
                list of them.
            max_faces: predict at most this many faces of each image; None predicts the largest.
            min_face: with ``max_faces``: size in pixels below which a face gets the status "too_small".

        Returns:
            One prediction for an image, a list in the same order for a list. With ``max_faces`` there is a
            list of predictions in place of each, largest face first. Where no face was found there is one
            prediction, of the center square. Each holds its decoded image.

        Raises:
            EngineOutputError: an output of the engine breaks a rule of ``check_outputs``.
            ImageError: an image is damaged or unsupported; no image of a list is predicted then.
            UsageError: ``max_faces`` or ``min_face`` is out of range.
        """
        check_face_limits(max_faces, min_face)
        if not isinstance(images, list | tuple):
            predictions = self.predict_found(self.find(images, max_faces, min_face))
            return predictions[0] if max_faces is None else predictions
        if max_faces is None:
            return self.predict_found(self._crop.crop_batch(images))
        return self._predict_lists(self._crop.crop_faces_batch(images, max_faces, min_face))

    def find(self, image: ImageSource, max_faces: int | None = None, min_face: float = 0) -> list[FaceCrop]:
        """Find and crop the faces of an image for ``predict_found``, with the arguments of ``predict``.

        Raises:
            ImageError: the image is damaged or unsupported.
        """
        if max_faces is None:
            return [self._crop(image)]
        return self._crop.crop_faces(image, max_faces, min_face)

    def predict_found(self, crops: Sequence[FaceCrop], *, images: bool = True) -> list[Prediction]:
        """Predict the expression on crops that ``find`` made, of one image or of several, at once.

        Args:
            crops: in any number.
            images: whether the predictions are to hold the crops' images.

        Raises:
            EngineOutputError: an output of the engine breaks a rule of ``check_outputs``.
        """
        if not crops:
            return []
        faces = self._manifest.preprocessing.normalize(np.stack([crop.face for crop in crops]))
        return predictions_from_outputs(
            self._run(faces),
            self._manifest.class_names,
            crops,
            [crop.image for crop in crops] if images else None,
            model_hash=self._model_hash,
            preprocessing_id=self._preprocessing_id,
        )

    def _predict_lists(self, crops: list[list[FaceCrop]]) -> list[list[Prediction]]:
        predictions = iter(self.predict_found([*itertools.chain(*crops)]))
        return [list(itertools.islice(predictions, len(image))) for image in crops]
