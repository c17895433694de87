"""Faces for verification, timing and calibration of engines: rendered, or from a folder of images."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet.data._files import images_below
from lnlattennet.data._prepare import load_prepared
from lnlattennet.data._records import Face, FaceData, FacesOption, ImageKind
from lnlattennet.data.preparation._preparer import PreparationReport
from lnlattennet.data.synthetic import EXPRESSIONS, HELD_OUT, TRAIN, Nuisance, render_face
from lnlattennet.data.synthetic._one_thread import one_opencv_thread
from lnlattennet.errors import DataError
from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.model._preprocessing import Preprocessing

MIN_IMAGES = 32
"""Fewer do not cover the range of a network's activations."""

# Beyond every data set's seeds, so that no face here is one of training, and beyond one another's.
_VERIFICATION_SEED = 2**40
_CALIBRATION_SEED = 2**41

_log = logging.getLogger(__name__)

_KINDS: dict[FacesOption, ImageKind] = {"auto": "mixed", "crop": "whole", "as-is": "crops"}


def verification_faces(count: int, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Render ``count`` different faces, normalized by ``preprocessing``: float32 [count, 3, S, S]."""
    return _rendered(count, preprocessing, _VERIFICATION_SEED, HELD_OUT)


def calibration_faces(count: int, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Render ``count`` faces as training has them, none of them in ``verification_faces``.

    Returns:
        Normalized by ``preprocessing``, float32 [count, 3, S, S].
    """
    return _rendered(count, preprocessing, _CALIBRATION_SEED, TRAIN)


def read_faces(
    folder: Path, preprocessing: Preprocessing, count: int, faces: FacesOption = "auto"
) -> NDArray[np.float32]:
    """Read faces from the images in a folder and the folders in it, prepared as for training.

    Of more than ``count`` files, evenly spread ones are taken. With faces "auto" each is cropped to its face,
    unless the face fills it; with "crop" always, and with "as-is" never. Warnings say in how many a face was
    found, name images without one, and say if fewer than ``MIN_IMAGES`` faces are different.

    Returns:
        Normalized, float32 [min(count, images), 3, S, S].

    Raises:
        DataError: there is no such folder, it cannot be read, or it has fewer than ``MIN_IMAGES``.
        ImageError: a file is damaged or not an image; names it.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {printable(folder)}; name one with face images")
    names = images_below(folder)
    if len(names) < MIN_IMAGES:
        raise DataError(
            f"{printable(folder)} has {len(names)} images, calibration needs at least "
            f"{MIN_IMAGES}; add face images, or name another folder"
        )
    spread = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    chosen = tuple(Face(names[index], label=0) for index in spread)
    data = FaceData("folder", folder, (), chosen, image_kind=_KINDS[faces])
    report = PreparationReport()
    images, _ = load_prepared(data, preprocessing, usable_cpus(), report)
    for note in report.notes():
        _log.warning("%s: %s", printable(folder), note)
    different = len({hashlib.sha256(image.tobytes()).digest() for image in images})
    if different < MIN_IMAGES:
        _log.warning(
            "%s: only %d of %d faces are different: they do not cover the range of activations, and engines "
            "calibrated on them may fail the gate; add other face images",
            printable(folder),
            different,
            len(images),
        )
    return preprocessing.normalize(images)


def _rendered(
    count: int, preprocessing: Preprocessing, first_seed: int, nuisance: Nuisance
) -> NDArray[np.float32]:
    with one_opencv_thread():
        images = [
            render_face(
                first_seed + index,
                EXPRESSIONS[index % len(EXPRESSIONS)],
                size=preprocessing.size,
                nuisance=nuisance,
                with_regions=False,
            ).image
            for index in range(count)
        ]
    return preprocessing.normalize(np.stack(images))
