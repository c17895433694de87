"""Every engine of a bundle on the faces of one image, in this process: answers side by side."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._engine import Engine
from lnlattennet.bundle._prediction import Prediction, predictions_from_outputs
from lnlattennet.bundle.doctor._local import runnable_engines
from lnlattennet.errors import BundleError, ExportError, UnavailableError
from lnlattennet.images._face_crop import FaceCrop, FaceCropper

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineAnswer:
    """What one engine says of an image.

    Attributes:
        engine: its name in the bundle.
        milliseconds: time of the engine alone, for all faces together.
        predictions: one a face, in the order of the served answer.
    """

    engine: str
    milliseconds: float
    predictions: list[Prediction]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return vars(self) | {"predictions": [face.to_dict() for face in self.predictions]}


class Engines:
    """The engines of a bundle that run on this machine; they are loaded when the first image comes."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._names = runnable_engines(bundle.manifest)
        self._crop = FaceCropper(bundle.manifest.preprocessing)
        # One image at a time: engines that ran beside each other would take each other's cores.
        self._turn = threading.Lock()

    def describe(self) -> list[dict[str, str]]:
        """Return name, precision and model hash of each."""
        manifest = self._bundle.manifest
        return [
            {
                "name": name,
                "precision": manifest.engine(name).precision,
                "model_hash": manifest.model_hash(name),
            }
            for name in self._names
        ]

    def predict(self, image: bytes, max_faces: int) -> list[EngineAnswer]:
        """Ask every engine about the same faces.

        Args:
            image: a JPEG or PNG file.
            max_faces: at most so many, the largest first.

        Raises:
            EngineOutputError: an output of an engine breaks a rule of ``check_outputs``.
            ImageError: the image is damaged or unsupported.
        """
        with self._turn:
            crops = self._crop.crop_faces(image, max_faces)
            return [self._ask(name, engine, crops) for name, engine in self._loaded.items()]

    @cached_property
    def _loaded(self) -> dict[str, Engine]:
        size = self._bundle.manifest.preprocessing.size
        engines = {}
        for name in self._names:
            try:
                engines[name] = self._bundle.engine(name)
            except (BundleError, ExportError, UnavailableError) as error:
                _log.warning("left out of the comparison: %s", error)
                continue
            # The first call allocates, and would look slow.
            engines[name](np.zeros((1, 3, size, size), np.float32))
        return engines

    def _ask(self, name: str, engine: Engine, crops: list[FaceCrop]) -> EngineAnswer:
        manifest = self._bundle.manifest
        faces = manifest.preprocessing.normalize(np.stack([crop.face for crop in crops]))
        started = time.perf_counter()
        outputs = engine(faces)
        milliseconds = 1000 * (time.perf_counter() - started)
        predictions = predictions_from_outputs(
            outputs,
            manifest.class_names,
            crops,
            [crop.image for crop in crops],
            model_hash=manifest.model_hash(name),
            preprocessing_id=manifest.preprocessing.id,
        )
        return EngineAnswer(name, milliseconds, predictions)
