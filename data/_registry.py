"""Opening a data set: by the name of its layout, or by what its folder looks like."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from types import MappingProxyType

from lnlattennet._command import printable
from lnlattennet.data._files import describe_folder
from lnlattennet.data._layout import Layout, indented, size_notes
from lnlattennet.data._records import FaceData
from lnlattennet.data.formats import _affectnet as affectnet
from lnlattennet.data.formats import _ck48 as ck48
from lnlattennet.data.formats import _ckplus as ckplus
from lnlattennet.data.formats import _fer2013 as fer2013
from lnlattennet.data.formats import _ferplus as ferplus
from lnlattennet.data.formats import _folder_tree as folder_tree
from lnlattennet.data.formats import _jaffe as jaffe
from lnlattennet.data.formats import _oulu_casia as oulu_casia
from lnlattennet.data.formats import _rafdb as rafdb
from lnlattennet.data.formats import _rafdb_digits as rafdb_digits
from lnlattennet.errors import DataError, UsageError

_log = logging.getLogger(__name__)
_PUBLISHED = (rafdb, rafdb_digits, fer2013, ferplus, ckplus, ck48, jaffe, oulu_casia, affectnet)

FORMATS: Mapping[str, Layout] = MappingProxyType(
    {layout.name: layout for module in (*_PUBLISHED, folder_tree) for layout in module.LAYOUTS}
)
"""Name for ``--format`` -> the layout: its summary, what a tree looks like, and its loader."""


def open_data(path: Path, format: str | None = None) -> FaceData:
    """Read a data set's labels; its images are read when they are asked for.

    Args:
        path: the data set's folder, or FER2013's csv file.
        format: one of ``FORMATS``; without it, the folder tells.

    Raises:
        UsageError: there is no such format.
        DataError: there is no such folder, none or several layouts match it, or it is not whole.
    """
    if format is not None and format not in FORMATS:
        raise UsageError(f"--format must be one of {', '.join(FORMATS)}, got {format!r}")
    if not path.exists():
        raise DataError(f"{printable(path)} does not exist; give the folder of a data set")
    layout = FORMATS[format] if format else detect(path)
    if path.is_file() and layout.name != "fer2013":
        raise DataError(f"{printable(path)} is a file; the format {layout.name} needs a folder")
    data = layout.load(path)
    data = replace(data, notes=(*data.notes, *size_notes(layout, data)))
    _log.info(
        "%s: %s, %d faces of %d classes", printable(path), data.format, len(data), len(data.class_names)
    )
    return data


def detect(path: Path) -> Layout:
    """Return the one layout that a folder looks like.

    Raises:
        DataError: none or several match, or the classes are bare digits.
    """
    if path.is_file():
        matches = [FORMATS["fer2013"]] if fer2013.detects(path) else []
    else:
        published = [layout for module in _PUBLISHED for layout in module.LAYOUTS]
        matches = [layout for layout in published if layout.detects and layout.detects(path)]
        if not matches:
            matches = _own_data(path)
    if len(matches) == 1:
        return matches[0]
    problem = (
        f"several layouts match ({', '.join(m.name for m in matches)})" if matches else "no layout matches"
    )
    raise DataError(
        f"{printable(path)}: {problem}; choose one with --format\nknown layouts:\n{known_layouts()}\n"
        f"found:\n{indented(describe_folder(path))}"
    )


def known_layouts() -> str:
    """Return every format with its summary and tree, for people."""
    # Variants of a layout follow each other and share its tree.
    groups = groupby(FORMATS.values(), key=lambda layout: layout.tree)
    shown = [[*(f"{one.name}: {one.summary}" for one in layouts), indented(tree)] for tree, layouts in groups]
    return indented("\n".join(line for group in shown for line in group))


def _own_data(path: Path) -> list[Layout]:
    if not folder_tree.detects(path):
        return []
    digits = rafdb_digits.digits_at(path)
    if digits:
        raise rafdb_digits.ambiguity(path, digits)
    return [FORMATS["folder"]]
