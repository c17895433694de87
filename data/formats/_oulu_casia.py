"""Oulu-CASIA: sequences of 80 people; as usual, visible light with strong illumination is used.

Source: Zhao, Huang, Taini, Li, Pietikäinen, "Facial Expression Recognition from Near-Infrared Videos",
Image and Vision Computing 29(9), 2011.
"""

from __future__ import annotations

import re
from pathlib import Path

from lnlattennet.data._files import first_few, listing
from lnlattennet.data._format import DatasetFormat, ExpectedTree
from lnlattennet.data._records import Face, FaceData
from lnlattennet.data.formats._sequences import PEAK_FRAMES, frames_in
from lnlattennet.errors import DataError

CLASS_NAMES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")

TREE = ExpectedTree(
    "Oulu-CASIA",
    """\
OriginalImg/VL/Strong/P001/Anger/000.jpeg     or in B_OriginalImg/ or Oulu_CASIA_NIR_VIS/; every subject
                                              has Anger, Disgust, Fear, Happiness, Sadness, Surprise;
                                              the folder that has VL/ may also be given itself""",
)

_ROOTS = ("OriginalImg", "B_OriginalImg", "Oulu_CASIA_NIR_VIS")
_STRONG = "VL/Strong"
_SUBJECT = re.compile(r"P\d{3}")


def detect(path: Path) -> bool:
    """Return whether one of the set's root folders is in ``path``, or is ``path``."""
    is_root = (path / _STRONG).is_dir() or (path.absolute().name in _ROOTS and (path / "VL").is_dir())
    return is_root or any((path / root).is_dir() for root in _ROOTS)


def load(path: Path) -> FaceData:
    """Take the last three frames of every sequence under VL/Strong.

    Raises:
        DataError: VL/Strong or a sequence is missing or has less than three frames.
    """
    faces: list[Face] = []
    root, strong = _places(path)
    with TREE.count_on_error(root, CLASS_NAMES, faces):
        if not (root / strong).is_dir():
            raise DataError(f"{strong} is missing")
        subjects = [name for name in listing(root / strong).folders if _SUBJECT.fullmatch(name)]
        if not subjects:
            raise DataError(f"{strong} has no subject (P001, ...)")
        cut_off = [folder for subject in subjects for folder in _read_subject(root, strong, subject, faces)]
        if cut_off:
            raise DataError(
                f"{len(subjects):,} subjects must have {len(CLASS_NAMES)} sequences of {PEAK_FRAMES} frames; "
                f"{len(cut_off):,} of these are missing or cut off, first: {first_few(cut_off)}"
            )
    return FaceData("oulu-casia", root, CLASS_NAMES, tuple(faces))


def _places(path: Path) -> tuple[Path, str]:
    """Return the folder above the set's root, and the folder of the sequences relative to it.

    So a face has one name, whether the root or the folder above it is given.
    """
    here = path.absolute()
    if (here / "VL").is_dir():
        return here.parent, f"{here.name}/{_STRONG}"
    roots = [root for root in _ROOTS if (path / root / _STRONG).is_dir()]
    return path, f"{(roots or _ROOTS)[0]}/{_STRONG}"


def _read_subject(path: Path, strong: str, subject: str, faces: list[Face]) -> list[str]:
    """Add the last frames of a subject's sequences to ``faces``; return the sequences that lack some."""
    cut_off = []
    for label, name in enumerate(CLASS_NAMES):
        folder = f"{strong}/{subject}/{name.capitalize()}"
        frames = frames_in(path / folder)[-PEAK_FRAMES:]
        if len(frames) < PEAK_FRAMES:
            cut_off.append(folder)
        faces += [Face(f"{folder}/{frame}", label, subject=subject) for frame in frames]
    return cut_off


FORMATS = (
    DatasetFormat(
        "oulu-casia",
        "Oulu-CASIA, VL/Strong, last three frames, 6 classes",
        TREE,
        "whole",
        load,
        detect,
        {None: 1_440},
    ),
)
