"""Image files that the arguments of a command name: files, folders, patterns and lists of them."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lnlattennet._command import on_one_line
from lnlattennet.errors import UsageError
from lnlattennet.streams.sources._video import VIDEO_SUFFIXES

STDIN = "-"
"""Name that stands for an image on standard input, as in other programs."""

IMAGE_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "bmp", "dib", "tif", "tiff"),
        *("ppm", "pgm", "pbm", "pnm", "heic", "heif", "avif", "gif", "jp2", "jxl"),
    )
)
"""Endings, in lower case, by which a file in a folder counts as an image, of a format that is read or not."""


FOLDER_SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES - {".ts"}
"""Those with videos. In a folder, .ts may be a program in TypeScript."""


class Files:
    """Names of all files that arguments stand for, in order, each time anew: nothing is kept.

    A file is named as often as it is given. Of a folder these are the files with an image's ending, in
    the order of their names, those of its folders after its own; hidden files and folders are left out. A
    link to a folder is followed, and each folder is read once, so circles of links have an end.

    Args:
        arguments: file, folder, pattern such as ``faces/**/*.jpg``, ``@LIST`` with a path on each line, or
            ``-``. ``@-`` is a list on standard input. A file that has the name itself comes first.
        suffixes: endings that count in folders.

    Raises:
        UsageError: an argument is empty, or several are standard input.

    Attributes:
        arguments: as given.
        left_out: files in folders that had no such ending, when the names were read last.
    """

    def __init__(self, arguments: Sequence[str], suffixes: frozenset[str] = IMAGE_SUFFIXES) -> None:
        self.arguments = tuple(arguments)
        if "" in self.arguments:
            raise UsageError(
                "an image must have a name, got an empty one; is a variable of the shell not set?"
            )
        if sum(argument in (STDIN, f"@{STDIN}") for argument in self.arguments) > 1:
            raise UsageError("standard input can be read once: give one - or @-, and the other as a file")
        self._suffixes = suffixes
        self.left_out = 0

    @property
    def repeatable(self) -> bool:
        """Whether the names can be read more than once; from standard input they cannot."""
        return "@-" not in self.arguments

    def __iter__(self) -> Iterator[str]:
        walk = _Walk(self._suffixes)
        self.left_out = 0
        for argument in self.arguments:
            names = [argument] if os.path.lexists(argument) else _named(argument)
            for name in names:
                # Of a name that is too long, or in a closed folder, Path.is_dir raises; its row says so.
                yield from walk(name) if os.path.isdir(name) else (name,)  # noqa: PTH112
            self.left_out = walk.left_out


def _named(argument: str) -> Iterator[str]:
    if argument.startswith("@"):
        yield from _listed(argument[1:])
    else:
        found = glob.glob(argument, recursive=True) if glob.has_magic(argument) else []  # noqa: PTH207
        yield from sorted(found) or [argument]


def _listed(name: str) -> Iterator[str]:
    try:
        stream = sys.stdin.buffer if name == STDIN else Path(name).open("rb")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"cannot read the list {on_one_line(name)}: {error.strerror}") from error
    with stream:
        for line in stream:
            if b"\0" in line:
                raise UsageError(
                    f"the list {on_one_line(name)} has a zero byte, which no path has: write each path on a "
                    "line of its own, as find does without -print0"
                )
            if path := line.rstrip(b"\r\n"):
                yield os.fsdecode(path)


class _Walk:
    """Reads folders; remembers which, and counts what is left out."""

    def __init__(self, suffixes: frozenset[str]) -> None:
        self._suffixes = suffixes
        self._seen: set[tuple[int, int]] = set()
        self.left_out = 0

    def __call__(self, folder: str) -> Iterator[str]:
        try:
            status = Path(folder).stat()
            identity = (status.st_dev, status.st_ino)
            if identity in self._seen:
                return
            self._seen.add(identity)
            names = sorted(os.listdir(folder))  # noqa: PTH208 - keeps names short
        except OSError:
            # Its row says so: the folder may hold images.
            yield folder
            return
        folders = []
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - keeps the name as it was given
            if name.startswith("."):
                continue
            if os.path.isdir(path):  # noqa: PTH112
                folders.append(path)
            elif os.path.splitext(name)[1].lower() in self._suffixes:  # noqa: PTH122
                yield path
            else:
                self.left_out += 1
        del names
        for path in folders:
            yield from self(path)
