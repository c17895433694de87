"""CK+, the original release: sequences from neutral to the peak, with a label file per labeled sequence.

Source: Lucey et al., "The Extended Cohn-Kanade Dataset (CK+)", CVPR workshop 2010.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lnlattennet._command import printable
from lnlattennet.data._files import first_few, listing, read_lines
from lnlattennet.data._format import DatasetFormat, ExpectedTree
from lnlattennet.data._records import Face, FaceData
from lnlattennet.data.formats._sequences import PEAK_FRAMES, frame_number, frames_in
from lnlattennet.errors import DataError

CODES = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
"""In the order of the codes 0 to 7; no published label is 0."""

TREE = ExpectedTree(
    "CK+",
    """\
cohn-kanade-images/S005/001/S005_001_00000011.png
Emotion/S005/001/S005_001_00000011_emotion.txt      such as 3.0000000e+00, from 1 to 7; or the same below
Emotion_labels/Emotion/ or Emotion_labels/          (sequences without a label file are not used)""",
)

_IMAGES = "cohn-kanade-images"
# The archive of images unpacks into a folder of its own.
_IMAGE_FOLDERS = (_IMAGES, f"extended-{_IMAGES}/{_IMAGES}")
_LABEL_FOLDERS = ("Emotion", "Emotion_labels/Emotion", "Emotion_labels")
_LABEL_END = "_emotion.txt"
_SUBJECT = re.compile(r"S\d{3}")


def detect(path: Path) -> bool:
    """Return whether there is the folder of images or one of labels, or ``path`` is that of images."""
    return _is_images(path) or any((path / folder).is_dir() for folder in (*_IMAGE_FOLDERS, *_LABEL_FOLDERS))


def load(path: Path, neutral: bool) -> FaceData:
    """Take the last three frames of every labeled sequence, and with ``neutral`` also the first one.

    Raises:
        DataError: images or labels are missing, or a labeled sequence lacks frames.
    """
    root = _root(path)
    name, class_names = ("ckplus-neutral", CODES) if neutral else ("ckplus", CODES[1:])
    faces: list[Face] = []
    with TREE.count_on_error(root, class_names, faces):
        images, labels = _folders(root)
        files = list(_label_files(root / labels))
        frames = {file: _frames(root, images, file, neutral) for file in files}
        for file in files:
            if frames[file]:
                faces += _faces(file, frames[file], neutral)
        cut_off = [f"{images}/{_sequence(file)}" for file in files if not frames[file]]
        if cut_off:
            raise DataError(
                f"{len(files):,} sequences have a label file, {len(cut_off):,} of them lack frames, the "
                f"labeled last one or those before: {first_few(cut_off)}"
            )
    data = FaceData(name, root, class_names, tuple(faces))
    TREE.require_classes(data, (None,))
    return data


def _root(path: Path) -> Path:
    """Return the folder that holds images and labels; ``path`` may be the folder of images beside labels."""
    return path.absolute().parent if _is_images(path) else path


def _is_images(path: Path) -> bool:
    return path.absolute().name == _IMAGES and any(map(_SUBJECT.fullmatch, listing(path).folders))


def _folders(root: Path) -> tuple[str, str]:
    """Return the folders of images and of labels, relative to ``root``."""
    images = next((name for name in _IMAGE_FOLDERS if (root / name).is_dir()), None)
    labels = next((name for name in _LABEL_FOLDERS if (root / name).is_dir()), None)
    if images is None or labels is None:
        missing = "the folder of label files" if labels is None else _IMAGES
        raise DataError(
            f"{missing} is missing; give the folder that holds {_IMAGES} and Emotion side by side"
        )
    return images, labels


def _faces(file: Path, frames: list[str], neutral: bool) -> Iterator[Face]:
    subject = file.parts[-3]
    label = _code(file) - (not neutral)
    if neutral:
        yield Face(frames[0], CODES.index("neutral"), subject=subject)
    for name in frames[-PEAK_FRAMES:]:
        yield Face(name, label, subject=subject)


def _label_files(folder: Path) -> Iterator[Path]:
    for subject in listing(folder).folders:
        for sequence in listing(folder / subject).folders:
            yield from sorted((folder / subject / sequence).glob(f"[!.]*{_LABEL_END}"))


def _sequence(file: Path) -> str:
    return "/".join(file.parts[-3:-1])


def _frames(path: Path, images: str, file: Path, neutral: bool) -> list[str]:
    """Return the sequence's frames, or [] if the labeled last frame or others are missing."""
    folder = f"{images}/{_sequence(file)}"
    names = frames_in(path / folder)
    labeled = frame_number(file.name.removesuffix(_LABEL_END))
    whole = len(names) >= PEAK_FRAMES + neutral and frame_number(names[-1]) == labeled
    return [f"{folder}/{name}" for name in names] if whole else []


def _code(file: Path) -> int:
    text = " ".join(read_lines(file)).strip()
    try:
        code = float(text)
    except ValueError:
        code = -1
    if code not in range(1, len(CODES)):
        raise DataError(f"{printable(file)} must hold a label from 1 to 7, got {text!r}; unpack it again")
    return int(code)


FORMATS = (
    DatasetFormat(
        "ckplus",
        "CK+, last three frames, 7 classes",
        TREE,
        "whole",
        partial(load, neutral=False),
        detect,
        {None: 981},
    ),
    DatasetFormat(
        "ckplus-neutral",
        "CK+, last three frames and the first as neutral, 8 classes",
        TREE,
        "whole",
        partial(load, neutral=True),
        detect,
        named_only=True,
        published={None: 981 + 327},
    ),
)
