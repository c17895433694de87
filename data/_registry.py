"""Registry of the data set formats, and the function that opens a data set by format or by detection."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from lnlattennet._command import counted, printable
from lnlattennet.data._files import describe_folder, listing
from lnlattennet.data._format import DatasetFormat, indented
from lnlattennet.data._nearby import find_root, folders_in, hint_above, looks_like
from lnlattennet.data._records import FaceData, FacesOption, Targets
from lnlattennet.data.formats import (
    _affectnet,
    _ck48,
    _ckplus,
    _fer2013,
    _ferplus,
    _folder_tree,
    _jaffe,
    _oulu_casia,
    _prepared,
    _rafdb,
    _rafdb_digits,
    _webdataset,
)
from lnlattennet.errors import DataError, UsageError

_log = logging.getLogger(__name__)
_MODULES = (
    _rafdb, _rafdb_digits, _fer2013, _ferplus, _ckplus, _ck48, _jaffe, _oulu_casia, _affectnet, _prepared,
    _webdataset, _folder_tree,
)  # fmt: skip

FORMATS: Mapping[str, DatasetFormat] = MappingProxyType(
    {format.name: format for module in _MODULES for format in module.FORMATS}
)
"""Value of ``--format`` -> the format."""

_FALLBACK = FORMATS["folder"]
"""Format of users' own data, taken if no published one is detected."""

_PUBLISHED = tuple(format for format in FORMATS.values() if not format.named_only and format is not _FALLBACK)
"""Formats that are detected before that."""


def load_dataset(
    path: Path | str, format: str | None = None, targets: Targets = "majority", faces: FacesOption = "auto"
) -> FaceData:
    """Read a data set's labels; its images are read when they are asked for.

    Args:
        path: the data set's folder, or FER2013's csv file.
        format: one of ``FORMATS``; None detects it.
        targets: "probability" keeps the votes on every training face as its ``target``, and faces whose
            votes have no majority with it; validation and test stay as they are.
        faces: "auto" finds and crops faces where the format's images are not face crops, "crop" always, and
            "as-is" never.

    Raises:
        UsageError: an option has no such value, or the format has no votes.
        DataError: there is no such folder, none or several formats match it, or it is not complete.
    """
    if format is not None and format not in FORMATS:
        raise UsageError(f"--format must be one of {', '.join(FORMATS)}, got {format!r}")
    if faces not in get_args(FacesOption):
        raise UsageError(f"--faces must be one of {', '.join(get_args(FacesOption))}, got {faces!r}")
    path = Path(path)
    if not path.exists():
        raise DataError(f"{printable(path)} does not exist; give the folder of a data set")
    chosen, root = (FORMATS[format], find_root(FORMATS[format], path)) if format else _detect(path)
    if path.is_file() and not chosen.is_file:
        raise DataError(f"{printable(path)} is a file; the format {chosen.name} needs a folder")
    with hint_above(path, _PUBLISHED):
        data = _loader(chosen, targets)(root)
    if root != path:
        note = f"read from {printable(root.name)}, the one folder in {printable(path)} with such a data set"
        data = replace(data, notes=(*data.notes, note))
    data = _with_kind(replace(data, notes=(*data.notes, *chosen.size_notes(data))), faces)
    _log.info(
        "%s: %s, %d faces of %d classes", printable(path), data.format, len(data), len(data.class_names)
    )
    return data


def _with_kind(data: FaceData, faces: FacesOption) -> FaceData:
    # Not always the chosen format: RAF-DB without aligned faces is read as its original images.
    format = FORMATS[data.format]
    data = replace(data, image_kind=format.faces, framings=data.framings or format.framings)
    if faces == "auto":
        return data
    if faces == "as-is":
        return replace(data, image_kind="crops")
    return replace(data, image_kind="whole", framings=())


def _loader(format: DatasetFormat, targets: Targets) -> Callable[[Path], FaceData]:
    if targets not in get_args(Targets):
        raise UsageError(f"targets must be one of {', '.join(get_args(Targets))}, got {targets!r}")
    if targets == "majority":
        return format.load
    if format.load_probability is None:
        voted = ", ".join(other.name for other in FORMATS.values() if other.load_probability)
        raise UsageError(
            f"targets {targets!r} need the votes on every image, which the format {format.name} has not got "
            f"(with votes: {voted}); use 'majority'"
        )
    return format.load_probability


def _detect(path: Path) -> tuple[DatasetFormat, Path]:
    """Return the one format that a path looks like, and the path, or the one folder in it that does.

    Raises:
        DataError: none or several match, or the classes are bare digits.
    """
    # A prepared data set has folders like the one that it was made of.
    if _prepared.detect(path):
        return FORMATS["prepared"], path
    matches = [format for format in _PUBLISHED if looks_like(format, path)]
    if len(matches) > 1:
        names = ", ".join(format.name for format in matches)
        raise _undecided(path, f"several formats match ({names})")
    if matches:
        return matches[0], path
    with hint_above(path, _PUBLISHED):
        own = path.is_dir() and _FALLBACK.detect(path)
        # A single folder of images is no set of classes; JAFFE's holds all of them.
        if own and _folder_tree.has_classes(path):
            return _FALLBACK, path
        folders = folders_in(path)
        inside = [(one, folder) for folder in folders for one in _PUBLISHED if looks_like(one, folder)]
        if len(inside) == 1:
            return inside[0]
        if inside:
            names = ", ".join(f"{printable(folder.name)}: {format.name}" for format, folder in inside)
            raise _undecided(path, f"several folders in it hold a data set ({names}): give one of them")
        if own:
            return _FALLBACK, path
        below = ", ".join(printable(folder.name) for folder in folders if _FALLBACK.detect(folder))
        problem = f", but {below} in it: give that" if below else _bare(path)
        raise _undecided(path, f"no format matches{problem}")


def _bare(path: Path) -> str:
    """Return what a folder without folders is, as words after "no format matches"; "" for others."""
    here = listing(path) if path.is_dir() else None
    if here is None or here.folders:
        return ""
    if count := len(here.images):
        return f" {counted(count, 'image')} without a folder for each class"
    return " a folder without images" if here.ignored else " an empty folder"


def _undecided(path: Path, problem: str) -> DataError:
    return DataError(
        f"{printable(path)}: {problem}; choose one with --format\n"
        f"found:\n{indented(describe_folder(path))}\nknown formats:\n{_known_formats()}"
    )


def _known_formats() -> str:
    """Return every format with its summary and tree."""
    # Variants of a format follow each other and share its tree.
    groups = groupby(FORMATS.values(), key=lambda format: format.tree)
    lines = (
        [*(f"{format.name}: {format.summary}" for format in formats), indented(tree.text)]
        for tree, formats in groups
    )
    return indented("\n".join(line for group in lines for line in group))
