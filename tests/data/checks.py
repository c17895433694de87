"""Shared checks of refused data sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lnlattennet.data import load_dataset
from lnlattennet.errors import DataError


def message(path: Path, format: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(path, format)
    return str(caught.value)


def edit(file: Path, change: Callable[[list[str]], object]) -> None:
    lines = file.read_text().splitlines()
    change(lines)
    file.write_text("\n".join(lines) + "\n")
