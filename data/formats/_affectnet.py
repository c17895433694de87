"""AffectNet, manually annotated faces, in both of its releases, with 7 or 8 classes.

Source: Mollahosseini, Hasani, Mahoor, "AffectNet: A Database for Facial Expression, Valence, and Arousal
Computing in the Wild", IEEE Transactions on Affective Computing 10(1), 2019.
"""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from lnlattennet._command import printable
from lnlattennet.data._files import first_few, listing, read_decoded, readable
from lnlattennet.data._format import DatasetFormat, ExpectedTree
from lnlattennet.data._label_table import read_table, whole_number
from lnlattennet.data._records import Face, FaceData
from lnlattennet.errors import DataError, ImageError
from lnlattennet.images._decode import DecodedImage, Detail

CODES = (
    "neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt",
    "none", "uncertain", "non-face",
)  # fmt: skip
"""In the order of the codes 0 to 10; the last three are never used."""
_LAST_CODE = len(CODES) - 1

_LISTS = "Manually_Annotated_file_lists"
_IMAGES = "Manually_Annotated_Images"
# The archive's parts unpack into a folder of their own.
_IMAGE_FOLDERS = (_IMAGES, f"Manually_Annotated/{_IMAGES}")
_CSV_SPLITS = {"train": f"{_LISTS}/training.csv", "val": f"{_LISTS}/validation.csv"}
_NPY_SPLITS = {"train": "train_set", "val": "val_set"}
_ANNOTATION = re.compile(r"(.+)_exp\.npy")
_COLUMNS = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks",
    "expression", "valence", "arousal",
)  # fmt: skip
_BOX = _COLUMNS[1:5]
_NEEDED = (_COLUMNS[0], *_BOX, "expression")
_Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are exclusive."""

TREE = ExpectedTree(
    "AffectNet",
    f"""\
{_CSV_SPLITS["train"]}      columns subDirectory_filePath, face_x, face_y, face_width,
{_CSV_SPLITS["val"]}    face_height, facial_landmarks, expression, valence, arousal
{_IMAGES}/689/73...ca.jpg
or the npy release:
train_set/images/0.jpg, train_set/annotations/0_exp.npy        and the same in val_set""",
)


def detect(path: Path) -> bool:
    """Return whether a folder of one of the releases is there."""
    folders = (_LISTS, *_IMAGE_FOLDERS, *_NPY_SPLITS.values())
    return any((path / folder).is_dir() for folder in folders)


def load(path: Path, classes: int) -> FaceData:
    """Read the labels and keep the first ``classes`` expressions.

    Raises:
        DataError: lists or images are missing, or a row breaks the rules.
    """
    npy = any((path / folder).is_dir() for folder in _NPY_SPLITS.values())
    data = _from_npy(path, classes) if npy else _from_csv(path, classes)
    TREE.require_classes(data, ("train", "val"))
    return data


def _from_csv(path: Path, classes: int) -> FaceData:
    faces: dict[str, Face] = {}
    boxes: dict[str, _Box] = {}
    dropped: Counter[str] = Counter()
    with TREE.count_on_error(path, CODES[:classes], faces.values()):
        for row in _read_lists(path):
            if row.code >= classes:
                dropped[f"labeled {CODES[row.code]}"] += 1
            elif row.box is None:
                dropped["without a usable box of the face"] += 1
            elif row.name in faces:
                dropped["listed more than once (the first time counts)"] += 1
            else:
                faces[row.name] = Face(row.name, row.code, row.split)
                boxes[row.name] = row.box
    data = TREE.with_images(
        FaceData(f"affectnet-{classes}", path, CODES[:classes], tuple(faces.values()), notes=_notes(dropped)),
        "the list",
    )
    by_file = {face.name: box for face, box in zip(data.faces, boxes.values(), strict=True)}
    return replace(data, reader=partial(_read_box, path, by_file))


def _from_npy(path: Path, classes: int) -> FaceData:
    faces: list[Face] = []
    dropped: Counter[str] = Counter()
    with TREE.count_on_error(path, CODES[:classes], faces):
        unmatched = _unmatched(path)
        for name, split, code in _read_annotations(path, frozenset(unmatched)):
            if code >= classes:
                dropped[f"labeled {CODES[code]}"] += 1
            else:
                faces.append(Face(name, code, split))
        if unmatched:
            raise DataError(
                f"{len(unmatched):,} images or _exp.npy files are without the other: {first_few(unmatched)}"
            )
    return FaceData(f"affectnet-{classes}", path, CODES[:classes], tuple(faces), notes=_notes(dropped))


def _notes(dropped: Counter[str]) -> tuple[str, ...]:
    return tuple(f"left out {count:,} images {why}" for why, count in sorted(dropped.items()))


@dataclass(frozen=True, slots=True)
class _ListedFace:
    """Row of a list; ``box`` is None where the numbers give none."""

    name: str
    split: str
    code: int
    box: _Box | None


def _read_box(root: Path, boxes: dict[str, _Box], face: Face, enough: Detail | None) -> DecodedImage:
    """Return the part of a face's box that lies in its image, which is a face crop: with all its detail."""
    image = read_decoded(root / face.name)
    left, top, right, bottom = boxes[face.name]
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, image.width), min(bottom, image.height)
    rows, columns = _span(top, bottom, image.scale), _span(left, right, image.scale)
    crop = image.pixels[rows, columns]
    if not crop.size:
        raise ImageError(
            f"{face.name}: the face's box {boxes[face.name]} lies outside the image of "
            f"{image.width} x {image.height} pixels; unpack lists and images of the same release"
        )
    return DecodedImage(np.ascontiguousarray(crop), right - left, bottom - top, image.scale)


def _span(first: int, end: int, scale: int) -> slice:
    """Return the pixels of an image at a reduced size that a span of its full size touches."""
    return slice(first // scale, max(-(-end // scale), 0))


def _read_lists(path: Path) -> Iterator[_ListedFace]:
    """Read both lists, whose first row may name the columns.

    Raises:
        DataError: a list is missing, or a row breaks the rules, by its line.
    """
    images = next((name for name in _IMAGE_FOLDERS if (path / name).is_dir()), _IMAGES)
    for split, name in _CSV_SPLITS.items():
        file = path / name
        if not file.is_file():
            raise DataError(f"{name} is missing")
        for row in read_table(file, _COLUMNS, _NEEDED):
            yield _listed(f"line {row.line} of {printable(file)}", split, images, row.values)


def _listed(place: str, split: str, images: str, values: dict[str, str]) -> _ListedFace:
    absent = [name for name in _NEEDED if name not in values]
    if absent:
        raise DataError(f"{place} has no column {absent[0]}; the columns must be {', '.join(_COLUMNS)}")
    code = whole_number(values["expression"])
    if code is None or not 0 <= code <= _LAST_CODE:
        raise DataError(
            f"{place}: expression must be from 0 to {_LAST_CODE}, got {values['expression']!r}; "
            "download it again"
        )
    name = values["subDirectory_filePath"].replace("\\", "/").removeprefix("./")
    return _ListedFace(f"{images}/{name}", split, code, _box([values[column] for column in _BOX]))


def _box(texts: list[str]) -> _Box | None:
    try:
        # Where a comma is no delimiter it may be the decimal point.
        left, top, width, height = (float(text.replace(",", ".")) for text in texts)
    except ValueError:
        return None
    if not all(map(math.isfinite, (left, top, width, height))) or min(width, height) < 1:
        return None
    return (round(left), round(top), round(left + width), round(top + height))


def _unmatched(path: Path) -> list[str]:
    """Return images without an expression's file, and such files without an image."""
    names = []
    for folder in _NPY_SPLITS.values():
        images = {Path(name).stem: name for name in _image_names(path / folder)}
        labeled = _annotated_names(path / folder)
        names += [f"{folder}/images/{images[key]}" for key in sorted(images.keys() - labeled)]
        names += [f"{folder}/annotations/{key}_exp.npy" for key in sorted(labeled - images.keys())]
    return names


def _read_annotations(path: Path, excluded: Set[str]) -> Iterator[tuple[str, str, int]]:
    """Yield name, split and code of every image that is not excluded.

    Each annotation is a file of its own.

    Raises:
        DataError: a file that holds no code from 0 to 10.
    """
    for split, folder in _NPY_SPLITS.items():
        for file in _image_names(path / folder):
            name = f"{folder}/images/{file}"
            if name not in excluded:
                code = _read_code(path / folder / "annotations" / f"{Path(file).stem}_exp.npy")
                yield name, split, code


def _image_names(folder: Path) -> tuple[str, ...]:
    return listing(folder / "images").images if (folder / "images").is_dir() else ()


def _annotated_names(folder: Path) -> set[str]:
    names = listing(folder / "annotations").ignored if (folder / "annotations").is_dir() else ()
    return {match.group(1) for name in names if (match := _ANNOTATION.fullmatch(name))}


def _read_code(file: Path) -> int:
    with readable(file):
        content = file.read_bytes()
    try:
        code = _decode(content)
    except Exception as error:  # numpy lets out what zipfile, tokenize or int() raise, and MemoryError
        problem = f"{printable(file)} holds no number of an expression: {error}"
        raise DataError(f"{problem}; unpack it again") from error
    if not 0 <= code <= _LAST_CODE:
        raise DataError(
            f"{printable(file)} must hold a code from 0 to {_LAST_CODE}, got {code}; unpack it again"
        )
    return code


# The 290,000 files have about ten different contents, and decoding takes longer than reading.
@lru_cache(maxsize=64)
def _decode(content: bytes) -> int:
    return int(np.load(io.BytesIO(content), allow_pickle=False).item())


FORMATS = (
    DatasetFormat(
        "affectnet-8", "AffectNet, 8 classes", TREE, "crops", partial(load, classes=8), detect, {"val": 4_000}
    ),
    DatasetFormat(
        "affectnet-7",
        "AffectNet, 7 classes (without contempt)",
        TREE,
        "crops",
        partial(load, classes=7),
        detect,
        named_only=True,
        published={"train": 283_901, "val": 3_500},
    ),
)
