"""FER2013: one csv file that holds the pixels, and mirrors with a folder per class.

Source: Goodfellow et al., "Challenges in Representation Learning", ICML workshop 2013.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet.data._files import ignored_notes, listing, readable
from lnlattennet.data._format import DatasetFormat, ExpectedTree
from lnlattennet.data._label_table import DELIMITERS, delimiter_of, whole_number
from lnlattennet.data._records import Face, FaceData, Framing, ordered_splits
from lnlattennet.data.formats._class_folders import ClassTree, class_tree, class_tree_or_none
from lnlattennet.errors import DataError, ImageError
from lnlattennet.images._decode import DecodedImage, Detail

SIDE = 48
"""Pixels per side of every image."""

CLASS_NAMES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""In the order of the labels 0 to 6."""

USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}

LICENSE = "research data; the rights of its images, found on the web, are not cleared"

FRAMINGS = (Framing("haar", margin=0.02), Framing("libfacedetection", margin=0.0))
"""Measured on training images, enlarged four times within a border, since a box may be larger than the image.

The median image is 1.04 times as wide as Haar's box (quartiles 0.98 and 1.11; of 1,500 images it finds a face
in 79%), and as libfacedetection's longer side (1.00; 0.83 and 1.11; of 800 in 98%); the centers are the same.
"""

TREE = ExpectedTree(
    "FER2013",
    f"""\
fer2013.csv      (or train.csv, or the file itself) columns emotion (0 to 6), pixels ({SIDE} x {SIDE}), Usage;
                 without Usage there is no split""",
)
FOLDER_TREE = ExpectedTree(
    "FER2013",
    "train/angry/*, disgust/*, fear/*, happy/*, neutral/*, sad/*, surprise/*    and the same in test/",
)

_FOLDERS = {"angry": 0, "disgust": 1, "fear": 2, "happy": 3, "sad": 4, "surprise": 5, "neutral": 6}
_FEWEST_FOLDERS = 5
"""With this many of the seven names, a tree is an incomplete mirror, not a user's own classes."""

_COLUMNS = ("emotion", "pixels", "usage")
_MOST_HEADER = 1000


@dataclass(frozen=True, slots=True)
class PixelRow:
    """One image: its line (the header is line 1), what the columns say, where its pixels are."""

    line: int
    emotion: str
    usage: str | None
    start: int
    length: int

    def name(self, file: Path) -> str:
        """Return the name of the image, such as `fer2013.csv:17`."""
        return f"{printable(file.name)}:{self.line}"


def pixel_reader(file: Path, rows: Sequence[PixelRow]) -> Callable[[Face, Detail | None], DecodedImage]:
    """Return the reader of faces from their rows in ``file``, which has 300 MB and stays on the disk."""
    places = {row.name(file): (row.start, row.length) for row in rows}

    def read(face: Face, enough: Detail | None) -> DecodedImage:
        start, length = places[face.name]
        try:
            with file.open("rb") as stream:
                stream.seek(start)
                text = stream.read(length)
            gray = _numbers(text).reshape(SIDE, SIDE, 1)
        except (OSError, ValueError) as error:
            raise ImageError(
                f"{face.name}: the pixels must be {SIDE * SIDE} numbers from 0 to 255: {error}; "
                "download the file again"
            ) from error
        return DecodedImage(np.repeat(gray, 3, axis=2), SIDE, SIDE)

    return read


def is_pixel_csv(file: Path) -> bool:
    """Return whether the first line names the columns emotion and pixels."""
    with readable(file), file.open("rb") as stream:
        _, columns = _columns(stream.readline(_MOST_HEADER))
    return set(_COLUMNS[:2]) <= set(columns)


def usage_of(text: str) -> str | None:
    """Return one of ``USAGES`` in its published spelling; None if the text is none."""
    return next((usage for usage in USAGES if usage.casefold() == text.strip().casefold()), None)


def read_rows(file: Path) -> Iterator[PixelRow]:
    """Read every row's labels and where its pixels are.

    Raises:
        DataError: a row with another number of columns or pixels (a download that was cut off).
    """
    with readable(file), file.open("rb") as stream:
        header = stream.readline()
        delimiter, columns = _columns(header)
        start = len(header)
        for number, line in enumerate(stream, start=2):
            if line.strip():
                yield _row(file, delimiter, columns, number, line, start)
            start += len(line)


def _numbers(text: bytes) -> NDArray[np.uint8]:
    others = text.translate(None, b"0123456789 ")
    if others:
        raise ValueError(f"got {others[:20]!r} among them")
    values = np.fromstring(text, np.int64, sep=" ")
    if values.size != SIDE * SIDE or values.max() > 255:
        raise ValueError(f"got {values.size} numbers up to {values.max(initial=0)}")
    return values.astype(np.uint8)


def _columns(header: bytes) -> tuple[str, list[str]]:
    """Return the delimiter and the columns' names in lower case; no names for what is no line of a table."""
    text = header.decode("utf-8-sig", errors="replace")
    try:
        delimiter = delimiter_of(text, _COLUMNS)
    except csv.Error:  # a carriage return in it: lines that end as on old Macs, or no text
        return DELIMITERS[0], []
    return delimiter, [name.strip(" \"'\r\n").lower() for name in text.split(delimiter)]


def _row(file: Path, delimiter: str, columns: list[str], number: int, line: bytes, start: int) -> PixelRow:
    fields = line.rstrip(b"\r\n").split(delimiter.encode())
    index = columns.index("pixels")
    place = f"line {number} of {printable(file)}"
    if len(fields) != len(columns):
        raise DataError(f"{place} must have {len(columns)} columns, has {len(fields)}; download it again")
    pixels = fields[index].strip(b' "')
    # Counting spaces is fast; only where that fails are there other separators or too few pixels.
    count = pixels.count(b" ") + 1
    if count != SIDE * SIDE and (count := len(pixels.split())) != SIDE * SIDE:
        raise DataError(f"{place} must have {SIDE * SIDE} pixels, has {count}; download the file again")
    values = {
        name: value.strip(b' "').decode(errors="replace")
        for name, value in zip(columns, fields, strict=True)
        if name != "pixels"
    }
    before = sum(len(field) + 1 for field in fields[:index]) + fields[index].index(pixels)
    return PixelRow(number, values["emotion"], values.get("usage"), start + before, len(pixels))


def csv_in(path: Path) -> Path | None:
    """Return the csv file with the pixels: ``path`` itself, or the one inside; None without one."""
    candidates = [path] if path.is_file() else [path / "fer2013.csv", path / "train.csv"]
    return next((file for file in candidates if file.is_file() and is_pixel_csv(file)), None)


def detect(path: Path) -> bool:
    """Return whether there is `fer2013.csv`, complete or not, or a csv file with pixels, and not FERPlus."""
    named = path if path.is_file() else path / "fer2013.csv"
    is_named = named.name == "fer2013.csv" and named.is_file()
    return (is_named or csv_in(path) is not None) and not (path / "fer2013new.csv").exists()


def detect_folders(path: Path) -> bool:
    """Return whether ``path`` has train and test, and in them most of FER2013's folders and no other."""
    tree = class_tree_or_none(path)
    # A split without any class folder is in no tree, but it is a sign of a mirror that is half unpacked.
    if tree is None or not {"train", "test"} <= {name.lower() for name in listing(path).folders}:
        return False
    names = {name.lower() for name in tree.names()}
    return names <= set(_FOLDERS) and len(names) >= _FEWEST_FOLDERS


def load(path: Path) -> FaceData:
    """Read the csv file's labels and where each row's pixels are.

    Raises:
        DataError: no csv file with the right columns, or a row that breaks their rules.
    """
    file = csv_in(path)
    if file is None:
        raise TREE.error(
            path, "no csv file with the columns emotion and pixels (lines must end in a line feed)"
        )
    rows: list[PixelRow] = []
    faces: list[Face] = []
    with TREE.count_on_error(path, CLASS_NAMES, faces):
        for row in read_rows(file):
            rows.append(row)
            faces.append(Face(row.name(file), _label(row, file), _split(row, file)))
    data = FaceData("fer2013", path, CLASS_NAMES, tuple(faces), pixel_reader(file, rows))
    has_splits = any(face.split for face in faces)
    TREE.require_classes(data, tuple(USAGES.values()) if has_splits else (None,))
    return data


def load_folders(path: Path) -> FaceData:
    """Read the mirror with a folder per class; its labels are in the order of the csv file.

    Raises:
        DataError: another tree, or a class without images in one of the splits.
    """
    tree = class_tree(path)
    problem = _wrong_folders(tree)
    if problem:
        raise FOLDER_TREE.error(path, problem, tree.counts())
    labels = {name: _FOLDERS[name.lower()] for name in tree.names()}
    notes = ignored_notes(tree.ignored)
    data = FaceData("fer2013-folders", path, CLASS_NAMES, tree.faces(labels), notes=notes)
    FOLDER_TREE.require_classes(data, ordered_splits({"train", "test", *tree.splits()}))
    return data


def _wrong_folders(tree: ClassTree) -> str:
    names = {name.lower() for name in tree.names()}
    unknown = sorted(names - set(_FOLDERS))
    absent = [name for name in _FOLDERS if name not in names]
    if unknown:
        return f"unknown folders {', '.join(map(printable, unknown))}"
    if tree.splits() in ([], [None]):
        return "no folders train and test"
    if absent:
        return f"no folder {', '.join(absent)}; if these are other data, read them with --format folder"
    return ""


def _label(row: PixelRow, file: Path) -> int:
    label = whole_number(row.emotion)
    if label is None or not 0 <= label < len(CLASS_NAMES):
        raise DataError(
            f"{row.name(file)}: emotion must be from 0 to 6, got {row.emotion!r}; download it again"
        )
    return label


def _split(row: PixelRow, file: Path) -> str | None:
    if row.usage is None:
        return None
    usage = usage_of(row.usage)
    if usage is None:
        raise DataError(f"{row.name(file)}: Usage must be one of {', '.join(USAGES)}, got {row.usage!r}")
    return USAGES[usage]


FORMATS = (
    DatasetFormat(
        "fer2013",
        "FER2013, the csv file",
        TREE,
        "crops",
        load,
        detect,
        {"train": 28_709, "val": 3_589, "test": 3_589},
        is_file=True,
        license=LICENSE,
        framings=FRAMINGS,
    ),
    # The mirror's test folder holds both test parts.
    DatasetFormat(
        "fer2013-folders",
        "mirror of FER2013 with a folder per class",
        FOLDER_TREE,
        "crops",
        load_folders,
        detect_folders,
        {"train": 28_709, "test": 7_178},
        license=LICENSE,
        framings=FRAMINGS,
    ),
)
