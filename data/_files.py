"""Access to folders and text files of a data set; every failure is a DataError that names the path."""

from __future__ import annotations

import codecs
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TextIO

from lnlattennet._command import counted, printable
from lnlattennet.errors import DataError, ImageError
from lnlattennet.images._decode import FILE_SUFFIXES, DecodedImage, Detail, read_data_set_image

_TOP_NAMES = 12
_SYSTEM_FOLDERS = frozenset(
    {
        "#recycle", "#snapshot", "@eadir", "@recently-snapshot", "@recycle", "@sharebin", "@tmp", "~snapshot",
        "$extend", "$recycle.bin", "found.000", "msdownld.tmp", "recycled", "recycler",
        "system volume information", "lost+found", "lost.dir", "network trash folder", "temporary items",
        "__macosx", "__pycache__",
    }
)  # fmt: skip
"""What Synology's, QNAP's and NetApp's boxes, Windows, Linux, Android, macOS and Python leave beside files.

Some hold images: `@eaDir` has thumbnails, and recycle bins have what was removed from the data set.
"""


@dataclass(frozen=True)
class Listing:
    """Entries directly in a folder: names in order.

    Attributes:
        folders: folders, without those of ``is_system_entry``.
        images: files with an image's suffix, without hidden ones.
        ignored: hidden entries (`.DS_Store`), folders of the system (`@eaDir`) and files of other kinds.
    """

    folders: tuple[str, ...]
    images: tuple[str, ...]
    ignored: tuple[str, ...]


def listing(folder: Path) -> Listing:
    """List a folder.

    Raises:
        DataError: it is missing, no folder, or cannot be read.
    """
    folders, images, ignored = [], [], []
    with readable(folder), os.scandir(folder) as entries:
        for entry in entries:
            if is_system_entry(entry.name):
                ignored.append(entry.name)
            elif _is_folder(entry):
                folders.append(entry.name)
            elif Path(entry.name).suffix.lower() in FILE_SUFFIXES:
                images.append(entry.name)
            else:
                ignored.append(entry.name)
    return Listing(tuple(sorted(folders)), tuple(sorted(images)), tuple(sorted(ignored)))


def is_system_entry(name: str) -> bool:
    """Return whether an entry is hidden, or a folder that a system made for itself."""
    return name.startswith((".", "__MACOSX")) or name.casefold() in _SYSTEM_FOLDERS


def images_below(folder: Path) -> list[str]:
    """Return the images in a folder and the folders in it, relative to it, in order.

    Linked folders are followed, each folder once, so that a link to a folder above ends.

    Raises:
        DataError: a folder cannot be read.
    """
    found: list[str] = []
    seen: set[tuple[int, int]] = set()

    def walk(here: Path, above: str) -> None:
        with readable(here):
            status = here.stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        inside = listing(here)
        found.extend(above + name for name in inside.images)
        for name in inside.folders:
            walk(here / name, f"{above}{name}/")

    walk(folder, "")
    return found


def read_decoded(path: Path, enough: Detail | None = None) -> DecodedImage:
    """Decode an image file, a JPEG file with just ``enough`` detail, and tell its full size.

    Raises:
        ImageError: it is damaged, or no file: reading a FIFO or a device would never end.
    """
    if path.exists() and not path.is_file():
        raise ImageError(f"{printable(path)} is no file but a folder, FIFO, socket or device; move it away")
    return read_data_set_image(path, enough)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, UTF-8 or UTF-16.

    Raises:
        DataError: it is missing, unreadable, or no such text.
    """
    try:
        with open_text(path, errors="strict") as stream:
            # The end mark of DOS, which old tools still write, is no line.
            return stream.read().rstrip("\x1a").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{printable(path)} is not a UTF-8 text file: {error}; unpack it again") from error


@contextmanager
def open_text(path: Path, errors: str = "replace") -> Iterator[TextIO]:
    """Open a text file, UTF-8 or, by the mark at its start, UTF-16 (Excel's "Unicode text").

    Raises:
        DataError: it is missing or unreadable, also while it is read.
    """
    with readable(path):
        with path.open("rb") as start:
            wide = start.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        with path.open(newline="", encoding="utf-16" if wide else "utf-8-sig", errors=errors) as stream:
            yield stream


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn an OSError about ``path`` into a DataError that names it."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot read {printable(path)}: {error.strerror or error}") from error


def find_files(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the file that each of ``names``, relative to ``root``, means, without those that are missing.

    A list may give a file's name in another case, in another Unicode form, or with the ending of another kind
    of image. Then the one file that is called so is taken, unless the list has it too. Each folder is listed
    once.
    """
    folders: dict[str, _Folder] = {}
    listed = frozenset(names)
    found = {}
    for name in listed:
        above, slash, file = name.rpartition("/")
        if above not in folders:
            folders[above] = _Folder(_names_in(root / above))
        match = folders[above].find(file)
        if match == file or (match is not None and above + slash + match not in listed):
            found[name] = above + slash + match
    return found


class _Folder:
    """Names in a folder, and what else a list may call them."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def find(self, name: str) -> str | None:
        if name in self.names:
            return name
        for others, key in ((self._in_other_case, _folded(name)), (self._as_other_image, _folded_stem(name))):
            alike = others.get(key, [])
            if len(alike) == 1:
                return alike[0]
        return None

    @cached_property
    def _in_other_case(self) -> dict[str, list[str]]:
        return _grouped(self.names, _folded)

    @cached_property
    def _as_other_image(self) -> dict[str, list[str]]:
        images = (name for name in self.names if Path(name).suffix.lower() in FILE_SUFFIXES)
        return _grouped(images, _folded_stem)


def describe_folder(path: Path) -> str:
    """Return the top entries of a folder, a line per folder with the number of its entries."""
    if not path.is_dir():
        return f"a file of {path.stat().st_size:,} bytes" if path.is_file() else "nothing"
    here = listing(path)
    lines = [f"{printable(name)}/  ({len(_names_in(path / name)):,} entries)" for name in here.folders]
    lines = lines[:_TOP_NAMES] + ([f"... {len(lines):,} folders"] if len(lines) > _TOP_NAMES else [])
    files = [*here.images, *here.ignored]
    if files:
        shown = ", ".join(printable(name) for name in files[:_TOP_NAMES])
        lines.append(f"{counted(len(files), 'file')}: {shown}{', ...' if len(files) > _TOP_NAMES else ''}")
    return "\n".join(lines) or "an empty folder"


def first_few(names: Sequence[str]) -> str:
    """Return the first three names, and ", ..." if there are more."""
    return ", ".join(map(printable, names[:3])) + (", ..." if len(names) > 3 else "")


def ignored_notes(ignored: Iterable[str]) -> tuple[str, ...]:
    """Return a sentence for each kind of ignored entry."""
    names = sorted(ignored)
    folders = [name for name in names if name.endswith("/")]
    stray = {name for name in names if _is_called_an_image(name)}
    files = [name for name in names if not name.endswith("/") and name not in stray]
    kinds = (
        ("images that lie in no folder of a class", sorted(stray)),
        ("folders inside folders of images; no image in them is read", folders),
        ("hidden entries, folders of the system, or files that are no images", files),
    )
    return tuple(f"ignored {len(found):,} {kind}: {first_few(found)}" for kind, found in kinds if found)


def _is_called_an_image(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in FILE_SUFFIXES and not (name.endswith("/") or is_system_entry(path.name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a loop of links; if it is called like an image, reading it names it
        return False


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _folded_stem(name: str) -> str:
    return _folded(Path(name).stem)


def _grouped(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return groups


def _names_in(folder: Path) -> frozenset[str]:
    if not folder.is_dir():
        return frozenset()
    with readable(folder), os.scandir(folder) as entries:
        return frozenset(entry.name for entry in entries)
