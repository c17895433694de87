"""What a person gets for one picture, and the predictor that runs a bundle in this process."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._engine import probabilities
from lnlattennet.bundle._outputs import check_outputs
from lnlattennet.model._preprocessing import Box
from lnlattennet.serving.inference._preprocess import Preprocessor


@dataclass(frozen=True)
class Prediction:
    """The expression on one face.

    Attributes:
        label: name of the most probable class.
        probabilities: class name -> probability, in the network's class order.
        logits: the network's raw scores, in class order.
        region_weights: share of each face region, g rows of g; all sum to 1.
        region_affinity: row k says where region k (row-major) looks; K rows of K, each sums to 1.
        face_box: left, top, right, bottom of the crop in pixels of the upright picture.
        face_found: whether a face was found there; otherwise the box is the centre square.
    """

    label: str
    probabilities: dict[str, float]
    logits: list[float]
    region_weights: list[list[float]]
    region_affinity: list[list[float]]
    face_box: Box
    face_found: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return dataclasses.asdict(self) | {"face_box": list(self.face_box)}


def predictions_from_outputs(
    outputs: Mapping[str, NDArray[Any]], class_names: Sequence[str], grid: int
) -> list[Prediction]:
    """Turn the arrays of a batch into one prediction per picture.

    Args:
        outputs: ``probabilities`` and ``logits`` [B, classes], ``region_weights`` [B, K],
            ``region_affinity`` [B, K, K], ``face_box`` [B, 4] and ``face_found`` [B, 1].
        class_names: in the order of the logits.
        grid: g; K = g * g.

    Raises:
        ServingError: an output breaks a rule of ``check_outputs``.
    """
    check_outputs(
        outputs["logits"],
        outputs["region_weights"],
        outputs["region_affinity"],
        len(class_names),
        grid * grid,
    )
    samples = range(len(outputs["logits"]))
    return [_prediction({name: outputs[name][i] for name in outputs}, class_names, grid) for i in samples]


def _prediction(sample: Mapping[str, NDArray[Any]], class_names: Sequence[str], grid: int) -> Prediction:
    shares: list[float] = sample["probabilities"].tolist()
    left, top, right, bottom = sample["face_box"].tolist()
    return Prediction(
        label=class_names[int(np.argmax(sample["probabilities"]))],
        probabilities=dict(zip(class_names, shares, strict=True)),
        logits=sample["logits"].tolist(),
        region_weights=sample["region_weights"].reshape(grid, grid).tolist(),
        region_affinity=sample["region_affinity"].tolist(),
        face_box=(left, top, right, bottom),
        face_found=bool(sample["face_found"][0]),
    )


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
        self._grid = manifest.grid
        self._prepare = Preprocessor(manifest.preprocessing)
        self._run = bundle.engine(engine, threads)

    def predict(self, images: Sequence[bytes]) -> list[Prediction]:
        """Predict the expression on each encoded JPEG or PNG picture, in order.

        Raises:
            ImageError: a picture is damaged or unsupported; nothing is predicted then.
            ServingError: the engine gave an output that breaks a rule.
        """
        faces = [self._prepare(data) for data in images]
        if not faces:
            return []
        outputs: dict[str, NDArray[Any]] = dict(self._run(np.stack([face.face for face in faces])))
        outputs["probabilities"] = probabilities(outputs["logits"])
        outputs["face_box"] = np.array([face.box for face in faces], dtype=np.float32)
        outputs["face_found"] = np.array([[face.found] for face in faces])
        return predictions_from_outputs(outputs, self._class_names, self._grid)
