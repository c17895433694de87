"""Checked outputs of an engine, and the prediction for one face that is made from them.

Every way to a prediction checks with ``check_outputs``: ``Bundle.engine`` (and so ``Bundle.predict``,
``lnlattennet.load`` and the evaluation of a bundle), the Triton models, and the client. Code that
needs arrays calls ``Bundle.engine()``, whose outputs are checked already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.errors import EngineOutputError, ImageError, UsageError
from lnlattennet.images._face_crop import FaceCrop, FaceLocation, FaceStatus
from lnlattennet.images._read import ImageSource, read
from lnlattennet.images.finders._base import Point
from lnlattennet.model._io_spec import OUTPUT_NAMES
from lnlattennet.model._preprocessing import Box

LARGEST_SUM_ERROR = 5e-3
"""Largest accepted distance of a sum from 1: a softmax in bf16 was up to 3e-3 off."""

_ADVICE = "export the bundle again, without this engine if it is at fault (--backend)"


@dataclass(frozen=True)
class Prediction:
    """The expression on one face.

    Attributes:
        label: name of the most probable class.
        probabilities: class name -> probability, in the network's class order.
        logits: the network's raw scores, in class order.
        region_weights: weight of each face region, g rows of g; all sum to 1.
        region_affinity: row k holds the weights with which region k (row-major) attends to all regions;
            K rows of K, each sums to 1.
        face_box: left, top, right, bottom of the crop in pixels of the upright image.
        face_found: whether a face was found there; otherwise the box is the center square.
        face_score: the face finder's confidence, 0 to 1; None if no finder looked.
        face_landmarks: left eye, right eye, nose tip, left and right corner of the mouth, as the viewer sees
            them, in pixels of the upright image; None if the finder has none.
        status: "ok"; "no_face" if none was found; "too_small" if the face is smaller than was asked for;
            "low_score" if the finder is not sure that it is a face.
        model_hash: ``Manifest.model_hash`` of the bundle that predicted; "" if an older server predicted.
        preprocessing_id: ``Preprocessing.id`` of that bundle.
        image: the upright RGB image, uint8 [H, W, 3]; None if a server predicted. It has a reduced size if it
            has more than 16 megapixels, or is a JPEG file whose crop needs fewer. It takes 3 bytes a pixel
            for as long as the prediction lives.
        image_scale: pixels of the upright image, and so of ``face_box``, for one of ``image``, on a side.
    """

    label: str
    probabilities: dict[str, float]
    logits: list[float] = field(repr=False)
    region_weights: list[list[float]] = field(repr=False)
    region_affinity: list[list[float]] = field(repr=False)
    face_box: Box
    face_found: bool
    face_score: float | None = None
    face_landmarks: tuple[Point, ...] | None = None
    status: FaceStatus = "ok"
    model_hash: str = field(default="", repr=False)
    preprocessing_id: str = field(default="", repr=False)
    image: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)
    image_scale: int = field(default=1, repr=False, compare=False)

    @property
    def entropy(self) -> float:
        """Entropy of the probabilities in nats: 0 for a sure answer, log(classes) for one that is a guess."""
        return sum(share * -log(share) for share in self.probabilities.values() if share > 0)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, without ``image`` and its scale, and the entropy as plain JSON values."""
        landmarks = self.face_landmarks and [list(point) for point in self.face_landmarks]
        fields = {**vars(self), "face_box": list(self.face_box), "face_landmarks": landmarks}
        fields["entropy"] = self.entropy
        del fields["image"], fields["image_scale"]
        return fields

    def draw_overlay(self, image: ImageSource | None = None) -> NDArray[np.uint8]:
        """Draw the region weights over the face, with a caption below.

        Args:
            image: the image that was predicted, in any form that ``read_image`` takes; an array must be the
                upright RGB image [H, W, 3] at its full size. None takes ``self.image``.

        Returns:
            An RGB image, larger than ``image`` by the caption, and enlarged if ``image`` is small.

        Raises:
            UsageError: ``image`` is None and the prediction holds no image.
        """
        return draw_overlays([self], image)

    def save_overlay(self, path: Path | str, image: ImageSource | None = None) -> None:
        """Write what ``draw_overlay`` draws to a PNG file.

        Raises:
            ImageError: ``image`` cannot be read.
            UsageError: ``path`` does not end in .png, or there is no image to draw on.
            OSError: the file cannot be written.
        """
        save_overlays([self], path, image)

    def caption(self) -> str:
        """Return label and probability, with the status of a face that is not "ok"."""
        doubt = "" if self.status == "ok" else f" ({self.status.replace('_', ' ')})"
        return f"{self.label}  {self.probabilities[self.label]:.0%}{doubt}"


def draw_overlays(predictions: Sequence[Prediction], image: ImageSource | None = None) -> NDArray[np.uint8]:
    """Draw the region weights over every face of one image, as ``Prediction.draw_overlay`` does for one.

    Args:
        predictions: the image's, largest face first, at least one.
        image: as for ``Prediction.draw_overlay``; None takes the predictions' own.

    Raises:
        ImageError: ``image`` cannot be read.
        UsageError: ``image`` is None and the predictions hold no image.
    """
    # OpenCV takes long to import, and a prediction is rarely drawn.
    from lnlattennet.images._overlay import DrawnFace, draw_overlay

    first = predictions[0]
    pixels, scale = _image_to_draw_on(first, image)
    faces = [DrawnFace(face.region_weights, _scaled(face.face_box, scale)) for face in predictions]
    if len(predictions) == 1:
        title = f"{first.label}  {first.probabilities[first.label]:.0%}"
        note = "face found" if first.face_found else "no face found: center square"
        return draw_overlay(pixels, faces, title, note)
    faces = [replace(box, label=face.caption()) for box, face in zip(faces, predictions, strict=True)]
    return draw_overlay(pixels, faces, f"{len(faces)} faces", f"largest: {first.caption()}")


def _image_to_draw_on(first: Prediction, image: ImageSource | None) -> tuple[NDArray[np.uint8], int]:
    """Return pixels, and how many of the prediction's pixels one of them stands for, on a side."""
    if isinstance(image, np.ndarray):
        return image, 1
    if image is not None:
        decoded = read(image)
        return decoded.pixels, decoded.scale
    if first.image is None:
        raise UsageError("a server's prediction holds no image to draw on; pass image=, RGB [H, W, 3]")
    return first.image, first.image_scale


def _scaled(box: Box, scale: int) -> Box:
    left, top, right, bottom = box
    return (left / scale, top / scale, right / scale, bottom / scale)


def save_overlays(
    predictions: Sequence[Prediction], path: Path | str, image: ImageSource | None = None
) -> None:
    """Write what ``draw_overlays`` draws to a PNG file.

    Raises:
        UsageError: ``path`` does not end in .png, or there is no image to draw on.
        OSError: the file cannot be written.
    """
    if Path(path).suffix.lower() != ".png":
        raise UsageError(f"an overlay is a PNG file: its name must end in .png, got {path}")
    Image.fromarray(draw_overlays(predictions, image)).save(path, "PNG")


def predictions_from_outputs(
    outputs: Mapping[str, NDArray[Any]],
    class_names: Sequence[str],
    faces: Sequence[FaceLocation],
    images: Sequence[NDArray[np.uint8]] | None = None,
    *,
    model_hash: str = "",
    preprocessing_id: str = "",
) -> list[Prediction]:
    """Turn checked outputs into one prediction per face.

    Args:
        outputs: ``logits`` [B, classes], ``region_weights`` [B, K] and ``region_affinity`` [B, K, K].
        class_names: in the order of the logits.
        faces: where each face was cropped.
        images: the images that were cropped, if the predictions are to hold them; of crops from images at a
            reduced size, ``faces`` know the scale.
        model_hash: of the bundle, for the predictions to state.
        preprocessing_id: of the bundle, too.
    """
    probabilities = softmax(outputs["logits"])
    grid = round(outputs["region_weights"].shape[1] ** 0.5)
    return [
        Prediction(
            label=class_names[int(row.argmax())],
            probabilities=dict(zip(class_names, row.tolist(), strict=True)),
            logits=outputs["logits"][index].tolist(),
            region_weights=outputs["region_weights"][index].reshape(grid, grid).tolist(),
            region_affinity=outputs["region_affinity"][index].tolist(),
            face_box=_float32(*face.box),
            face_found=face.found,
            face_score=None if face.score is None else _float32(face.score)[0],
            face_landmarks=face.landmarks and tuple(_float32(*point) for point in face.landmarks),
            status=face.status,
            model_hash=model_hash,
            preprocessing_id=preprocessing_id,
            image=None if images is None else images[index],
            image_scale=face.image_scale if isinstance(face, FaceCrop) else 1,
        )
        for index, (row, face) in enumerate(zip(probabilities, faces, strict=True))
    ]


def _float32(*values: float) -> tuple[Any, ...]:
    """Round as servers do, which answer in float32, so that a box gets the same digits in this process."""
    return tuple(np.array(values, np.float32).tolist())


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax over the last axis of ``logits`` float32 [B, classes], computed in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    shares: NDArray[np.float64] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return shares.astype(np.float32)


def check_faces(faces: Any, size: int | None = None) -> None:
    """Check that normalized faces are float32 [B, 3, S, S] and finite, before a runtime sees them.

    Outputs do not tell: a ReLU of OpenVINO turns NaN into 0, code of AOTInductor reads the memory of any
    array as if it were the one that it was compiled for, and the answer looks like any other.

    Args:
        faces: what a caller passed.
        size: S; None takes squares of any size.

    Raises:
        ImageError: they are not; the message has the first face that is not finite.
    """
    dtype = getattr(faces, "dtype", type(faces).__name__)
    shape: tuple[int, ...] = getattr(faces, "shape", ())
    side = size or (shape[3] if len(shape) == 4 else 0)
    if dtype != np.float32 or shape[1:] != (3, side, side):
        wanted = f"[n, 3, {size or 'S'}, {size or 'S'}]"
        raise ImageError(
            f"normalized faces must be float32 {wanted}, got {dtype} {list(shape)}; Preprocessing.normalize "
            "makes them, and Bundle.predict takes faces as they are"
        )
    if not np.isfinite(faces).all():
        face = int(np.nonzero(~np.isfinite(faces))[0][0])
        raise ImageError(f"face {face} holds numbers that are not finite; faces are normalized pixels")


def check_outputs(outputs: Mapping[str, NDArray[Any]], batch: int, classes: int, regions: int) -> None:
    """Check an engine's outputs: logits [B, classes], weights [B, K] and affinity [B, K, K], all float32.

    Raises:
        EngineOutputError: an output is missing, a shape or type is wrong, a value is not finite, or weights
            or a row of the affinity are negative or do not sum to 1.
    """
    shapes = ((batch, classes), (batch, regions), (batch, regions, regions))
    for name, shape in zip(OUTPUT_NAMES, shapes, strict=True):
        if name not in outputs:
            raise EngineOutputError(f"engine output {name} is missing; {_ADVICE}")
        _check_array(name, outputs[name], shape)
    for name in OUTPUT_NAMES[1:]:
        _check_weights(name, outputs[name])


def _check_array(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.dtype != np.float32 or array.shape != shape:
        raise EngineOutputError(
            f"engine output {name} must be float32 {list(shape)}, got {array.dtype} {list(array.shape)}; "
            "export the bundle again"
        )
    if not np.isfinite(array).all():
        position = [int(axis[0]) for axis in np.nonzero(~np.isfinite(array))]
        raise EngineOutputError(
            f"engine output {name} must be finite, got {array[tuple(position)]} at {position} of the batch; "
            f"{_ADVICE}"
        )


def _check_weights(name: str, weights: NDArray[np.float32]) -> None:
    if weights.size and weights.min() < 0:
        raise EngineOutputError(
            f"engine output {name} must not be negative, got {weights.min():.6g}; {_ADVICE}"
        )
    sums = weights.sum(axis=-1, dtype=np.float64)
    if sums.size and np.abs(sums - 1).max() > LARGEST_SUM_ERROR:
        worst = float(sums.flat[np.abs(sums - 1).argmax()])
        raise EngineOutputError(
            f"engine output {name} must sum to 1 within {LARGEST_SUM_ERROR}, got {worst:.6g}; {_ADVICE}"
        )
