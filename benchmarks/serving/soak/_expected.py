"""Images of the soak with the answers of the bundle in this process, and comparisons with them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.benchmarks.harness._images import photographs
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._prediction import Prediction
from lnlattennet.errors import LnlAttenNetError
from lnlattennet.images._blank import blank_png
from lnlattennet.images._decode import decode_image
from lnlattennet.serving._predictor import LocalPredictor

LARGE = "24 MP"
MAX_FACES = 3

TOLERANCE = 1e-3
"""Largest difference of a number: engines may round otherwise in batches of another size."""


class WrongAnswerError(LnlAttenNetError):
    """A server's answer differs from that of the same bundle in this process, or came where none is due."""


@dataclass(frozen=True)
class Expected:
    """Images with the answers of a bundle in this process.

    Attributes:
        images: name -> JPEG or PNG file.
        largest: name -> prediction of the largest face.
        every: name -> predictions of at most ``MAX_FACES`` faces.
        crops: uint8 [n, H, W, 3].
        of_crops: their predictions.
        most_images: largest batch of the engine.
    """

    images: Mapping[str, bytes]
    largest: Mapping[str, Prediction]
    every: Mapping[str, Sequence[Prediction]]
    crops: NDArray[np.uint8]
    of_crops: Sequence[Prediction]
    most_images: int

    @classmethod
    def of(cls, bundle: Bundle) -> Expected:
        """Predict all images in this process.

        Raises:
            UnavailableError: scikit-image is not installed, or the engine does not run here.
        """
        images = photographs()
        portrait = decode_image(images["512"])
        images |= {"PNG": _png(portrait), "no face": blank_png()}
        crops = np.stack([portrait[top : top + 168, 160:328] for top in (0, 40, 80)])
        predictor = LocalPredictor(bundle)
        return cls(
            images=images,
            largest={name: predictor.predict(image) for name, image in images.items()},
            every={name: predictor.predict(image, MAX_FACES) for name, image in images.items()},
            crops=crops,
            of_crops=bundle.predict(crops),
            most_images=bundle.manifest.engine().batch[2],
        )


def compare(answers: Sequence[Prediction], expected: Sequence[Prediction]) -> None:
    """Raise WrongAnswerError unless the answers are the expected ones, within rounding."""
    if len(answers) != len(expected):
        raise WrongAnswerError(f"{len(answers)} answers, expected {len(expected)}")
    for answer, wanted in zip(answers, expected, strict=True):
        same = (answer.label, answer.status) == (wanted.label, wanted.status)
        difference = float(np.abs(_numbers(answer) - _numbers(wanted)).max())
        # Written so that NaN fails.
        if not (same and difference <= TOLERANCE):
            raise WrongAnswerError(
                f"{answer.caption()} where {wanted.caption()} is right; numbers differ by {difference:.2g}"
            )


def _numbers(prediction: Prediction) -> NDArray[np.float64]:
    probabilities = [*prediction.probabilities.values()]
    return np.concatenate([probabilities, prediction.face_box, np.ravel(prediction.region_weights)])


def _png(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
