"""The rows of fer2013.csv: labels are read once, pixels where they lie when they are asked for.

The file has 300 MB; only the place of each row's pixels is kept in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet.data._files import readable
from lnlattennet.data._records import Face
from lnlattennet.errors import DataError, ImageError

SIDE = 48
"""Pixels per side of every image."""

_MOST_HEADER = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One image: its line (the header is line 1), what the columns say, where its pixels are."""

    line: int
    emotion: str
    usage: str | None
    start: int
    length: int

    def name(self, file: Path) -> str:
        """Return the name of the image, such as `fer2013.csv:17`."""
        return f"{printable(file.name)}:{self.line}"


@dataclass(frozen=True)
class PixelRows:
    """Reads a face's pixels from its row; ``places`` gives the first byte and their number by face name."""

    file: Path
    places: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, file: Path, rows: Sequence[Row]) -> PixelRows:
        """Remember where the pixels of ``rows`` are."""
        return cls(file, {row.name(file): (row.start, row.length) for row in rows})

    def __call__(self, face: Face) -> NDArray[np.uint8]:
        """Return RGB uint8 [48, 48, 3] with three equal channels; raises ImageError that names the row."""
        start, length = self.places[face.name]
        try:
            with self.file.open("rb") as stream:
                stream.seek(start)
                text = stream.read(length)
            gray = _numbers(text).reshape(SIDE, SIDE, 1)
        except (OSError, ValueError) as error:
            raise ImageError(
                f"{face.name}: the pixels must be {SIDE * SIDE} numbers from 0 to 255: {error}; "
                "download the file again"
            ) from error
        return np.repeat(gray, 3, axis=2)


def is_pixel_csv(file: Path) -> bool:
    """Return whether the first line names the columns emotion and pixels."""
    with readable(file), file.open("rb") as stream:
        return {"emotion", "pixels"} <= set(_columns(stream.readline(_MOST_HEADER)))


def read_rows(file: Path) -> Iterator[Row]:
    """Read every row's labels and where its pixels are.

    Raises:
        DataError: a row with another number of columns or pixels (a download that was cut off).
    """
    with readable(file), file.open("rb") as stream:
        header = stream.readline()
        columns = _columns(header)
        start = len(header)
        for number, line in enumerate(stream, start=2):
            if line.strip():
                yield _row(file, columns, number, line, start)
            start += len(line)


def _numbers(text: bytes) -> NDArray[np.uint8]:
    others = text.translate(None, b"0123456789 ")
    if others:
        raise ValueError(f"got {others[:20]!r} among them")
    values = np.fromstring(text, np.int64, sep=" ")
    if values.size != SIDE * SIDE or values.max() > 255:
        raise ValueError(f"got {values.size} numbers up to {values.max(initial=0)}")
    return values.astype(np.uint8)


def _columns(header: bytes) -> list[str]:
    text = header.decode("utf-8-sig", errors="replace")
    return [name.strip(' "\r\n').lower() for name in text.split(",")]


def _row(file: Path, columns: list[str], number: int, line: bytes, start: int) -> Row:
    fields = line.rstrip(b"\r\n").split(b",")
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
    return Row(number, values["emotion"], values.get("usage"), start + before, len(pixels))
