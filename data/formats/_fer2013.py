"""FER2013: one csv file that holds the pixels.

Source: Goodfellow et al., "Challenges in Representation Learning", ICML workshop 2013.
"""

from __future__ import annotations

from pathlib import Path

from lnlattennet._command import printable
from lnlattennet.data._files import ignored_notes, listing
from lnlattennet.data._layout import Layout, ordered_splits, refusal, refuse_with_counts, require_classes
from lnlattennet.data._pictures import PictureFiles
from lnlattennet.data._records import Face, FaceData
from lnlattennet.data.formats._class_folders import ClassTree, class_tree, class_tree_or_none
from lnlattennet.data.formats._fer2013_csv import SIDE, PixelRows, Row, is_pixel_csv, read_rows
from lnlattennet.errors import DataError

CLASS_NAMES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""In the order of the labels 0 to 6."""

USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}

EXPECTED = f"""\
fer2013.csv      (or train.csv, or the file itself) columns emotion (0 to 6), pixels ({SIDE} x {SIDE}), Usage;
                 without Usage there is no split"""
EXPECTED_FOLDERS = """\
train/angry/*, disgust/*, fear/*, happy/*, neutral/*, sad/*, surprise/*    and the same in test/"""

_FOLDERS = {"angry": 0, "disgust": 1, "fear": 2, "happy": 3, "sad": 4, "surprise": 5, "neutral": 6}
_FEWEST_FOLDERS = 5
"""So many of the seven names are taken for a half-unpacked mirror, not for somebody's own classes."""

_TITLE = "FER2013"


def csv_in(path: Path) -> Path | None:
    """Return the csv file with the pixels: ``path`` itself, or the one inside; None without one."""
    candidates = [path] if path.is_file() else [path / "fer2013.csv", path / "train.csv"]
    return next((file for file in candidates if file.is_file() and is_pixel_csv(file)), None)


def detects(path: Path) -> bool:
    """Return whether there is `fer2013.csv`, whole or not, or a csv file with pixels, and not FERPlus."""
    named = path if path.is_file() else path / "fer2013.csv"
    is_named = named.name == "fer2013.csv" and named.is_file()
    return (is_named or csv_in(path) is not None) and not (path / "fer2013new.csv").exists()


def detects_folders(path: Path) -> bool:
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
        raise refusal(path, _TITLE, "no csv file with the columns emotion and pixels", EXPECTED)
    rows: list[Row] = []
    faces: list[Face] = []
    with refuse_with_counts(path, _TITLE, EXPECTED, CLASS_NAMES, faces):
        for row in read_rows(file):
            rows.append(row)
            faces.append(Face(row.name(file), _label(row, file), _split(row, file)))
    data = FaceData("fer2013", path, CLASS_NAMES, tuple(faces), PixelRows.of(file, rows))
    has_splits = any(face.split for face in faces)
    require_classes(path, _TITLE, data, EXPECTED, tuple(USAGES.values()) if has_splits else (None,))
    return data


def load_folders(path: Path) -> FaceData:
    """Read the mirror with a folder per class; its labels are in the order of the csv file.

    Raises:
        DataError: another tree, or a class without images in one of the splits.
    """
    tree = class_tree(path)
    problem = _wrong_folders(tree)
    if problem:
        raise refusal(path, _TITLE, problem, EXPECTED_FOLDERS, tree.counts())
    labels = {name: _FOLDERS[name.lower()] for name in tree.names()}
    notes = ignored_notes(tree.ignored)
    data = FaceData("fer2013-folders", path, CLASS_NAMES, tree.faces(labels), PictureFiles(path), notes)
    require_classes(path, _TITLE, data, EXPECTED_FOLDERS, ordered_splits({"train", "test", *tree.splits()}))
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


def _label(row: Row, file: Path) -> int:
    if row.emotion not in tuple("0123456"):
        raise DataError(
            f"{row.name(file)}: emotion must be from 0 to 6, got {row.emotion!r}; download it again"
        )
    return int(row.emotion)


def _split(row: Row, file: Path) -> str | None:
    if row.usage is None:
        return None
    if row.usage not in USAGES:
        raise DataError(f"{row.name(file)}: Usage must be one of {', '.join(USAGES)}, got {row.usage!r}")
    return USAGES[row.usage]


LAYOUTS = (
    Layout(
        name="fer2013",
        summary="FER2013, the csv file",
        tree=EXPECTED,
        load=load,
        detects=detects,
        published={"train": 28_709, "val": 3_589, "test": 3_589},
    ),
    Layout(
        name="fer2013-folders",
        summary="mirror of FER2013 with a folder per class",
        tree=EXPECTED_FOLDERS,
        load=load_folders,
        detects=detects_folders,
        # The mirror's test folder holds both test parts.
        published={"train": 28_709, "test": 7_178},
    ),
)
