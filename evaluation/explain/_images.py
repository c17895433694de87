"""Explanation of single images, cropped to the face as `lnlattennet predict` does."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lnlattennet._command import printable
from lnlattennet.errors import ImageError, UsageError
from lnlattennet.evaluation.explain._drawing import save_png
from lnlattennet.evaluation.explain._internals import explain_faces, rounded
from lnlattennet.evaluation.explain._panels import face_panel
from lnlattennet.images._face_crop import FaceCrop, FaceCropper
from lnlattennet.images._read import FileBytes
from lnlattennet.images._whole_file import read_image_file
from lnlattennet.model._checkpoint import CheckpointInfo
from lnlattennet.model._network import LNLAttenNet

_log = logging.getLogger(__name__)


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
) -> list[dict[str, Any]]:
    """Draw a panel per image, and return an entry of the index per image; warn of one without a face.

    Args:
        network: network of the checkpoint, in evaluation mode.
        info: metadata of the same checkpoint.
        images: their files, of any format that ``read_image`` takes of a path.
        paths: PNG files of their panels, in the same order.
        region: region whose affinity is shown; None for each image's highest weighted one.

    Raises:
        ImageError: a file cannot be read as an image; names it.
    """
    crop_face = FaceCropper(info.preprocessing)
    rows = []
    for image, path in zip(images, paths, strict=True):
        crop = _crop(image, crop_face)
        if not crop.found:
            _log.warning("%s: no face was found, so its center square is explained", printable(image))
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
            {
                "image": printable(image),
                "picture": printable(path),
                "face_found": crop.found,
                "label": info.class_names[int(probabilities.argmax())],
                "probabilities": dict(zip(info.class_names, rounded(probabilities), strict=True)),
                "region_weights": rounded(weights),
                "region": shown,
                "affinity_row": rounded(explanation.affinity[0, shown]),
            }
        )
    return rows


def _crop(path: Path, crop_face: FaceCropper) -> FaceCrop:
    try:
        return crop_face(FileBytes(read_image_file(path)))
    except OSError as error:
        raise ImageError(f"{printable(path)} cannot be read: {error.strerror}") from error
    except ImageError as error:
        raise ImageError(f"{printable(path)}: {error}") from error
