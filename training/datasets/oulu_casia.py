"""Oulu-CASIA: sequences of 80 people; as usual, visible light with strong illumination is used.

Source: Zhao, Huang, Taini, Li, Pietikäinen, "Facial Expression Recognition from Near-Infrared Videos",
Image and Vision Computing 29(9), 2011.
"""

from __future__ import annotations

import re
from pathlib import Path

from lnlattennet.training.datasets.files import listing
from lnlattennet.training.datasets.layout import Layout, counts_text, first_few, refusal
from lnlattennet.training.datasets.pictures import PictureFiles
from lnlattennet.training.datasets.records import Face, FaceData
from lnlattennet.training.datasets.sequences import PEAK_FRAMES, frames_in

CLASS_NAMES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")

EXPECTED = """\
OriginalImg/VL/Strong/P001/Anger/000.jpeg     or in B_OriginalImg/ or Oulu_CASIA_NIR_VIS/; every subject
                                              has Anger, Disgust, Fear, Happiness, Sadness, Surprise"""

_TITLE = "Oulu-CASIA"
_ROOTS = ("OriginalImg", "B_OriginalImg", "Oulu_CASIA_NIR_VIS")
_SUBJECT = re.compile(r"P\d{3}")


def detects(path: Path) -> bool:
    """Return whether one of the set's root folders is in ``path``."""
    return any((path / root).is_dir() for root in _ROOTS)


def load(path: Path) -> FaceData:
    """Take the last three frames of every sequence under VL/Strong.

    Raises:
        DataError: VL/Strong or a sequence is missing or has less than three frames.
    """
    strong = next((f"{root}/VL/Strong" for root in _ROOTS if (path / root / "VL/Strong").is_dir()), None)
    if strong is None:
        raise refusal(path, _TITLE, f"VL/Strong is missing in {' or '.join(_ROOTS)}", EXPECTED)
    subjects = [name for name in listing(path / strong).folders if _SUBJECT.fullmatch(name)]
    faces: list[Face] = []
    cut_off: list[str] = []
    for subject in subjects:
        for label, name in enumerate(CLASS_NAMES):
            folder = f"{strong}/{subject}/{name.capitalize()}"
            frames = frames_in(path / folder)[-PEAK_FRAMES:]
            if len(frames) < PEAK_FRAMES:
                cut_off.append(folder)
            faces += [Face(f"{folder}/{frame}", label, subject=subject) for frame in frames]
    if not subjects:
        raise refusal(path, _TITLE, f"{strong} has no subject (P001, ...)", EXPECTED)
    if cut_off:
        problem = (
            f"{len(subjects):,} subjects must have {len(CLASS_NAMES)} sequences of {PEAK_FRAMES} frames; "
            f"{len(cut_off):,} of these are missing or cut off, first: {first_few(cut_off)}"
        )
        raise refusal(path, _TITLE, problem, EXPECTED, f"last frames:\n{counts_text(CLASS_NAMES, faces)}")
    return FaceData("oulu-casia", path, CLASS_NAMES, tuple(faces), PictureFiles(path))


LAYOUTS = (
    Layout(
        name="oulu-casia",
        summary="Oulu-CASIA, VL/Strong, last three frames, 6 classes",
        tree=EXPECTED,
        load=load,
        detects=detects,
        published={None: 1_440},
    ),
)
