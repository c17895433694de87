"""Marks and parameters that the files of this folder share.

These tests also run with bare pytest on a machine that has only a GPU, torch and numpy: no conftest, no
pyproject.toml, so nothing that registers marks.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import pytest
import torch


def _mark(name: str) -> pytest.MarkDecorator:
    with warnings.catch_warnings():
        # pyproject.toml registers it, and --strict-markers refuses it if not; a bare pytest only warns.
        warnings.simplefilter("ignore", pytest.PytestUnknownMarkWarning)
        mark: pytest.MarkDecorator = getattr(pytest.mark, name)
        return mark


slow = _mark("slow")
exhaustive = _mark("exhaustive")
gpu = _mark("gpu")
_needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
every_device = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[gpu, _needs_cuda])])


def first(count: int, values: Sequence[Any]) -> list[Any]:
    """Return parameters of which only the first ones belong to `make test`, the others to `make test-all`."""
    return [*values[:count], *(pytest.param(value, marks=exhaustive) for value in values[count:])]
