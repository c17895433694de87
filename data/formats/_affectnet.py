"""AffectNet, manually annotated faces, in both of its releases, with 7 or 8 classes.

Source: Mollahosseini, Hasani, Mahoor, "AffectNet: A Database for Facial Expression, Valence, and Arousal
Computing in the Wild", IEEE Transactions on Affective Computing 10(1), 2019.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

from lnlattennet.data._layout import Layout, first_few, refuse_with_counts, require_classes, require_images
from lnlattennet.data._pictures import PictureFiles
from lnlattennet.data._records import Face, FaceData
from lnlattennet.data.formats import _affectnet_csv as affectnet_csv
from lnlattennet.data.formats import _affectnet_npy as affectnet_npy
from lnlattennet.errors import DataError

CODES = (
    "neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt",
    "none", "uncertain", "non-face",
)  # fmt: skip
"""In the order of the codes 0 to 10; the last three are never used."""

EXPECTED = f"""\
{affectnet_csv.SPLITS["train"]}      columns subDirectory_filePath, face_x, face_y, face_width,
{affectnet_csv.SPLITS["val"]}    face_height, facial_landmarks, expression, valence, arousal
{affectnet_csv.IMAGES}/689/73...ca.jpg
or the npy release:
train_set/images/0.jpg, train_set/annotations/0_exp.npy        and the same in val_set"""

_TITLE = "AffectNet"


def detects(path: Path) -> bool:
    """Return whether a folder of one of the releases is there."""
    folders = (affectnet_csv.LISTS, affectnet_csv.IMAGES, *affectnet_npy.SPLITS.values())
    return any((path / folder).is_dir() for folder in folders)


def load(path: Path, classes: int) -> FaceData:
    """Read the labels and keep the first ``classes`` expressions.

    Raises:
        DataError: lists or images are missing, or a row breaks the rules.
    """
    npy = any((path / folder).is_dir() for folder in affectnet_npy.SPLITS.values())
    data = _from_npy(path, classes) if npy else _from_csv(path, classes)
    require_classes(path, _TITLE, data, EXPECTED, ("train", "val"))
    return data


def _from_csv(path: Path, classes: int) -> FaceData:
    faces: dict[str, Face] = {}
    boxes: dict[str, affectnet_csv.Box] = {}
    dropped: Counter[str] = Counter()
    with refuse_with_counts(path, _TITLE, EXPECTED, CODES[:classes], faces.values()):
        for listed in affectnet_csv.read_lists(path):
            if listed.code >= classes:
                dropped[f"labeled {CODES[listed.code]}"] += 1
            elif listed.box is None:
                dropped["without a usable box of the face"] += 1
            elif listed.name in faces:
                dropped["listed more than once (the first time counts)"] += 1
            else:
                faces[listed.name] = Face(listed.name, listed.code, listed.split)
                boxes[listed.name] = listed.box
    reader = affectnet_csv.BoxedFiles(path, boxes)
    data = FaceData(_name(classes), path, CODES[:classes], tuple(faces.values()), reader, _notes(dropped))
    require_images(path, _TITLE, data, EXPECTED, "the list")
    return data


def _from_npy(path: Path, classes: int) -> FaceData:
    faces: list[Face] = []
    dropped: Counter[str] = Counter()
    with refuse_with_counts(path, _TITLE, EXPECTED, CODES[:classes], faces):
        lonely = affectnet_npy.unmatched(path)
        for name, split, code in affectnet_npy.read_annotations(path, frozenset(lonely)):
            if code >= classes:
                dropped[f"labeled {CODES[code]}"] += 1
            else:
                faces.append(Face(name, code, split))
        if lonely:
            raise DataError(
                f"{len(lonely):,} images or _exp.npy files are without the other: {first_few(lonely)}"
            )
    return FaceData(_name(classes), path, CODES[:classes], tuple(faces), PictureFiles(path), _notes(dropped))


def _name(classes: int) -> str:
    return f"affectnet-{classes}"


def _notes(dropped: Counter[str]) -> tuple[str, ...]:
    return tuple(f"left out {count:,} images {why}" for why, count in sorted(dropped.items()))


LAYOUTS = (
    Layout(
        name="affectnet-8",
        summary="AffectNet, 8 classes",
        tree=EXPECTED,
        load=partial(load, classes=8),
        detects=detects,
        published={"val": 4_000},
    ),
    Layout(
        name="affectnet-7",
        summary="AffectNet, 7 classes (without contempt)",
        tree=EXPECTED,
        load=partial(load, classes=7),
        published={"train": 283_901, "val": 3_500},
    ),
)
