"""Data sets one folder below or above the path that was given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lnlattennet._command import printable
from lnlattennet.data._files import listing
from lnlattennet.data._format import DatasetFormat
from lnlattennet.errors import DataError

_MOST_FOLDERS = 30
"""A folder with more in it is a folder of classes or of everything; they are not looked into."""


def looks_like(format: DatasetFormat, path: Path) -> bool:
    """Return whether ``path`` has the signs of a format, complete or not; False where it cannot be read."""
    try:
        return (format.is_file or path.is_dir()) and format.detect(path)
    except (DataError, OSError):
        return False


def folders_in(path: Path) -> list[Path]:
    """Return the folders in ``path`` that may be the root of a data set."""
    names = listing(path).folders if path.is_dir() else ()
    return [path / name for name in names] if len(names) <= _MOST_FOLDERS else []


def find_root(format: DatasetFormat, path: Path) -> Path:
    """Return ``path``, or the one folder in it that has the signs of ``format`` where ``path`` has none.

    Raises:
        DataError: several folders have them; names these.
    """
    if path.is_file() or looks_like(format, path):
        return path
    inside = [folder for folder in folders_in(path) if looks_like(format, folder)]
    if len(inside) > 1:
        names = ", ".join(printable(folder.name) for folder in inside)
        raise DataError(
            f"{printable(path)}: several folders in it look like {format.name} ({names}); give one of them"
        )
    return inside[0] if inside else path


@contextmanager
def hint_above(path: Path, formats: Sequence[DatasetFormat]) -> Iterator[None]:
    """Add to a DataError which of the two folders above ``path`` looks like one of ``formats``."""
    try:
        yield
    except DataError as error:
        # The higher of two: the folder of images alone may have the signs too.
        for folder in reversed(path.absolute().parents[:2]):
            names = [format.name for format in formats if looks_like(format, folder)]
            if names:
                above = (
                    f"The folder above, {printable(folder)}, looks like {', '.join(names)}: give that one."
                )
                raise DataError(f"{error}\n{above}") from error
        raise
