"""FERPlus's files of votes, and the majority that decides."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lnlattennet._command import printable
from lnlattennet.data._files import readable
from lnlattennet.data.formats._fer2013 import USAGES
from lnlattennet.errors import DataError

CLASS_NAMES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""In the order of the columns; `unknown` and `NF` (no face) follow them."""

UNKNOWN = len(CLASS_NAMES)
_CHOICES = UNKNOWN + 2
_COLUMNS = ("Usage", "Image name", *CLASS_NAMES, "unknown", "NF")
_KEYS = tuple(name.casefold() for name in _COLUMNS)
Votes = tuple[int, ...]


class VotedRow(NamedTuple):
    """A row of fer2013new.csv; an empty name means that the image is not used."""

    usage: str
    name: str
    votes: Votes


def majority(votes: Votes) -> int:
    """Return what the votes [10] decide: a class, ``UNKNOWN``, or the number after it for no face.

    Single votes do not count; the winner needs more than half of the others.
    """
    counted = np.where(np.array(votes) > 1, votes, 0)
    winner = int(counted.argmax())
    return winner if 2 * counted[winner] > counted.sum() else UNKNOWN


def read_votes(file: Path) -> Iterator[VotedRow]:
    """Read fer2013new.csv, whose first row names the columns, in any order; without it, the published order.

    Raises:
        DataError: a header or a row that breaks the rules, by its line.
    """
    order: Sequence[int] = range(len(_COLUMNS))
    for line, fields in _rows(file):
        if line == 1 and not set(_KEYS).isdisjoint(map(_key, fields)):
            order = _order(file, fields)
            continue
        values = [fields[place].strip() for place in order] if len(fields) == len(order) else [""]
        if values[0] not in USAGES:
            rule = f"a Usage ({', '.join(USAGES)}), a name and {_CHOICES} votes"
            raise _broken(file, line, rule, fields)
        yield VotedRow(values[0], values[1], _votes(file, line, fields, values[2:]))


def read_labels(file: Path) -> Iterator[tuple[str, Votes]]:
    """Read a folder's label.csv without header; older copies have the face's box after the name.

    Raises:
        DataError: a row that breaks the rules, by its line.
    """
    for line, fields in _rows(file):
        if len(fields) < 1 + _CHOICES or not fields[0].strip():
            raise _broken(file, line, f"a name and {_CHOICES} votes", fields)
        yield fields[0].strip(), _votes(file, line, fields, fields[-_CHOICES:])


def _rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    with readable(file), file.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
        for line, fields in enumerate(csv.reader(stream), start=1):
            if any(fields):
                yield line, fields


def _key(field: str) -> str:
    return field.strip().casefold()


def _order(file: Path, header: list[str]) -> list[int]:
    """Return where each of ``_COLUMNS`` stands in ``header``."""
    keys = [_key(field) for field in header]
    if sorted(keys) != sorted(_KEYS):
        raise DataError(
            f"line 1 of {printable(file)} must name each of these columns once, in any order: "
            f"{', '.join(_COLUMNS)}; {_difference(keys)}; correct the names, or download it again"
        )
    return [keys.index(key) for key in _KEYS]


def _difference(keys: list[str]) -> str:
    kinds = {
        "missing": [name for name in _COLUMNS if name.casefold() not in keys],
        "unknown": [repr(key) for key in keys if key not in _KEYS],
        "repeated": [name for name in _COLUMNS if keys.count(name.casefold()) > 1],
    }
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names)


def _votes(file: Path, line: int, fields: list[str], texts: list[str]) -> Votes:
    try:
        votes = tuple(map(int, texts))
    except ValueError:
        votes = (-1,)
    if min(votes) < 0:
        raise _broken(file, line, f"{_CHOICES} votes, whole numbers from 0", fields)
    return votes


def _broken(file: Path, line: int, rule: str, fields: list[str]) -> DataError:
    return DataError(
        f"line {line} of {printable(file)} must have {rule}, got {','.join(fields)!r}; download it again"
    )
