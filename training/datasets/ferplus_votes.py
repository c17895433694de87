"""FERPlus's files of votes, and the majority that decides."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lnlattennet.command import printable
from lnlattennet.errors import DataError
from lnlattennet.training.datasets.fer2013 import USAGES
from lnlattennet.training.datasets.files import readable

CLASS_NAMES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""In the order of the columns; `unknown` and `NF` (no face) follow them."""

UNKNOWN = len(CLASS_NAMES)
_CHOICES = UNKNOWN + 2
Votes = tuple[int, ...]


class VotedRow(NamedTuple):
    """A row of fer2013new.csv; an empty name means that the picture is not used."""

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


def read_votes(file: Path) -> list[VotedRow]:
    """Read fer2013new.csv, whose first row names the columns.

    Raises:
        DataError: a row that breaks the rules, by its line.
    """
    rows = []
    for line, fields in _rows(file):
        if line == 1 and fields[0].strip() == "Usage":
            continue
        if len(fields) != 2 + _CHOICES or fields[0] not in USAGES:
            rule = f"a Usage ({', '.join(USAGES)}), a name and {_CHOICES} votes"
            raise _broken(file, line, rule, fields)
        rows.append(VotedRow(fields[0], fields[1].strip(), _votes(file, line, fields)))
    return rows


def read_labels(file: Path) -> Iterator[tuple[str, Votes]]:
    """Read a folder's label.csv without header; older copies have the face's box after the name.

    Raises:
        DataError: a row that breaks the rules, by its line.
    """
    for line, fields in _rows(file):
        if len(fields) < 1 + _CHOICES or not fields[0].strip():
            raise _broken(file, line, f"a name and {_CHOICES} votes", fields)
        yield fields[0].strip(), _votes(file, line, fields)


def _rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    with readable(file), file.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
        for line, fields in enumerate(csv.reader(stream), start=1):
            if any(fields):
                yield line, fields


def _votes(file: Path, line: int, fields: list[str]) -> Votes:
    try:
        votes = tuple(int(field) for field in fields[-_CHOICES:])
    except ValueError:
        votes = (-1,)
    if min(votes) < 0:
        raise _broken(file, line, f"{_CHOICES} votes at its end, whole numbers from 0", fields)
    return votes


def _broken(file: Path, line: int, rule: str, fields: list[str]) -> DataError:
    return DataError(
        f"line {line} of {printable(file)} must have {rule}, got {','.join(fields)!r}; download it again"
    )
