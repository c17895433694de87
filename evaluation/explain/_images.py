"""Explanation of single images, cropped to the face as `lnlattennet predict` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet.errors import ImageError, UsageError
from lnlattennet.evaluation.explain._drawing import save_png
from lnlattennet.evaluation.explain._face_panel import face_panel
from lnlattennet.evaluation.explain._internals import explain_faces
from lnlattennet.images._face_crop import FaceCrop, FaceCropper
from lnlattennet.model._checkpoint import CheckpointInfo
from lnlattennet.model._network import LNLAttenNet


@dataclass(frozen=True)
class ImageExplanation:
    """Explanation of one image, in the order of the index.

    Attributes:
        image: path of the image.
        picture: path of its panel.
        face_found: whether a face was detected; without one the center square is explained.
        label: predicted expression.
        probabilities: expression to probability.
        region_weights: K weights, row by row over the face.
        region: region whose affinity is shown.
        affinity_row: affinity of that region to all regions.
    """

    image: str
    picture: str
    face_found: bool
    label: str
    probabilities: dict[str, float]
    region_weights: list[float]
    region: int
    affinity_row: list[float]


def panel_paths(output: Path, images: Sequence[Path]) -> list[Path]:
    """Return the paths of the panels: numbered, because two images may have one name.

    Raises:
        UsageError: a panel would replace an image that is to be explained.
    """
    paths = [output / f"face-{index}-{image.stem}.png" for index, image in enumerate(images, start=1)]
    originals = {image.resolve() for image in images}
    for path in paths:
        if path.resolve() in originals:
            raise UsageError(f"the panel {path} would replace an image: choose another --output folder")
    return paths


def explain_images(
    network: LNLAttenNet,
    info: CheckpointInfo,
    images: Sequence[Path],
    paths: Sequence[Path],
    region: int | None,
) -> list[ImageExplanation]:
    """Draw a panel per image and return what it shows.

    Args:
        network: network of the checkpoint, in evaluation mode.
        info: metadata of the same checkpoint.
        images: JPEG or PNG files.
        paths: where their panels go.
        region: region whose affinity is shown; None for each image's highest weighted one.

    Raises:
        ImageError: a file cannot be read as an image; names it.
    """
    crop_face = FaceCropper(info.preprocessing)
    rows = []
    for image, path in zip(images, paths, strict=True):
        crop = _crop(image, crop_face)
        explanation = explain_faces(network, info.preprocessing, crop.face[None])
        probabilities, weights = explanation.probabilities[0], explanation.weights[0]
        shown = int(weights.argmax()) if region is None else region
        panel = face_panel(
            crop.face,
            explanation,
            grid=info.config.grid,
            region=shown,
            class_names=info.class_names,
            name=printable(image.name),
        )
        save_png(panel, path)
        rows.append(
            ImageExplanation(
                image=printable(image),
                picture=printable(path),
                face_found=crop.found,
                label=info.class_names[int(probabilities.argmax())],
                probabilities=dict(zip(info.class_names, _rounded(probabilities), strict=True)),
                region_weights=_rounded(weights),
                region=shown,
                affinity_row=_rounded(explanation.affinity[0, shown]),
            )
        )
    return rows


def _crop(path: Path, crop_face: FaceCropper) -> FaceCrop:
    try:
        return crop_face(path.read_bytes())
    except OSError as error:
        raise ImageError(f"{printable(path)} cannot be read: {error.strerror}") from error
    except ImageError as error:
        raise ImageError(f"{printable(path)}: {error}") from error


def _rounded(values: NDArray[np.float32]) -> list[float]:
    return [round(value, 6) for value in values.tolist()]
