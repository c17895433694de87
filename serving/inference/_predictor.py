"""Predictor that runs a bundle in this process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._prediction import Prediction, predictions_from_outputs
from lnlattennet.serving.inference._preprocess import Preprocessor


class LocalPredictor:
    """Runs a bundle's engine in this process; the answers are those of the server.

    Args:
        bundle: a verified bundle.
        engine: name of one of its engines; None takes the selected one.
        threads: of the engine; 0 lets its runtime choose.

    Raises:
        BundleError: no engine of that name.
        UnavailableError: the engine's runtime cannot run it here.
    """

    def __init__(self, bundle: Bundle, engine: str | None = None, threads: int = 0) -> None:
        manifest = bundle.manifest
        self._class_names = manifest.class_names
        self._prepare = Preprocessor(manifest.preprocessing)
        self._run = bundle.engine(engine, threads)

    def predict(self, images: Sequence[bytes]) -> list[Prediction]:
        """Predict the expression on each encoded JPEG or PNG picture, in order.

        Raises:
            ImageError: a picture is damaged or unsupported; nothing is predicted then.
            EngineOutputError: an output of the engine breaks a rule of ``check_outputs``.
        """
        faces = [self._prepare(data) for data in images]
        if not faces:
            return []
        outputs = self._run(np.stack([face.face for face in faces]))
        return predictions_from_outputs(
            outputs, self._class_names, [face.box for face in faces], [face.found for face in faces]
        )
