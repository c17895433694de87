"""Accuracies that others published, kept by hand in benchmarks/results/published.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from lnlattennet.errors import UsageError

TEST_SETS = {
    "ferplus": "FERPlus",
    "fer2013": "FER2013",
    "rafdb": "RAF-DB",
    "affectnet-7": "AffectNet-7",
    "affectnet-8": "AffectNet-8",
}
"""Key in the file -> title."""
NOT_READ = "not read"

_REQUIRED = {"name", "network", "source", "read", "accuracy"}


@dataclass(frozen=True, kw_only=True)
class PublishedMethod:
    """A method and its accuracies.

    Attributes:
        name: method or authors.
        network: backbone and what is special.
        source: address of the paper or repository.
        read: part of the source that was read, or ``NOT_READ``.
        accuracy: percent by test set (``TEST_SETS``).
        year: year of the source; None where the source does not tell.
        pretraining: data or weights that training began with; "" where the source does not tell.
        parameters: number of parameters; None where the source does not tell.

    Raises:
        UsageError: a field breaks its rule.
    """

    name: str
    network: str
    source: str
    read: str
    accuracy: Mapping[str, float]
    year: int | None = None
    pretraining: str = ""
    parameters: int | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.accuracy) - set(TEST_SETS))
        if unknown or not self.accuracy:
            raise UsageError(f"{self.name}: accuracy must be of {', '.join(TEST_SETS)}, got {unknown}")
        if not all(1 < value < 100 for value in self.accuracy.values()):
            raise UsageError(f"{self.name}: accuracy must be in percent, got {dict(self.accuracy)}")
        if not self.source.startswith("https://") or not self.read:
            raise UsageError(f"{self.name}: source must be an address, and read must say what was read of it")


def read_published(path: Path) -> list[PublishedMethod]:
    """Read the file.

    Raises:
        UsageError: an entry lacks a field, or has one that is unknown or breaks its rule.
    """
    known = {field.name for field in fields(PublishedMethod)}
    methods = []
    for entry in tomllib.loads(path.read_text(encoding="utf-8"))["method"]:
        if not _REQUIRED <= entry.keys() <= known:
            raise UsageError(
                f"{path}: an entry must have the fields {sorted(_REQUIRED)} and may have "
                f"{sorted(known - _REQUIRED)}, got {sorted(entry)}"
            )
        methods.append(PublishedMethod(**entry))
    return methods
