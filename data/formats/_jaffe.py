"""JAFFE: ten women, seven expressions, everything in the name of the file.

Source: Lyons, Akamatsu, Kamachi, Gyoba, "Coding Facial Expressions with Gabor Wavelets", FG 1998.
"""

from __future__ import annotations

import re
from pathlib import Path

from lnlattennet.data._files import first_few, ignored_notes, listing
from lnlattennet.data._format import DatasetFormat, ExpectedTree
from lnlattennet.data._records import Face, FaceData

CODES = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
CLASS_NAMES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
"""In the order of ``CODES``."""

TREE = ExpectedTree(
    "JAFFE",
    """\
KA.AN1.39.tiff        subject KA, expression AN (of AN, DI, FE, HA, NE, SA, SU), take 1, serial number 39""",
)

_NAME = re.compile(rf"([A-Z]{{2}})\.({'|'.join(CODES)})\d+\.\d+\.[A-Z]+", re.IGNORECASE)


def detect(path: Path) -> bool:
    """Return whether there is an image with a name as in JAFFE."""
    return any(map(_NAME.fullmatch, listing(path).images))


def load(path: Path) -> FaceData:
    """Read the names; images with other names are left out.

    Raises:
        DataError: no image with such a name, or an expression without one.
    """
    here = listing(path)
    matches = [match for name in here.images if (match := _NAME.fullmatch(name))]
    others = sorted(set(here.images) - {match.string for match in matches})
    faces = tuple(
        Face(match.string, CODES.index(match.group(2).upper()), subject=match.group(1).upper())
        for match in matches
    )
    notes = ignored_notes(here.ignored)
    if others:
        notes = (*notes, f"left out {len(others):,} images with other names: {first_few(others)}")
    if not faces:
        raise TREE.error(path, "no image has a name of its kind")
    data = FaceData("jaffe", path, CLASS_NAMES, faces, notes=notes)
    TREE.require_classes(data, (None,))
    return data


FORMATS = (DatasetFormat("jaffe", "JAFFE", TREE, "whole", load, detect, {None: 213}),)
