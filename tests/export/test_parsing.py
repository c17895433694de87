"""Flags of export-engine: what they accept, and how they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnlattennet.bundle._export_options import MAX_BATCH, ExportOptions
from lnlattennet.errors import UsageError
from lnlattennet.export._parsing import parse_batch, parse_duration, parse_shapes
from lnlattennet.runtimes._base import BatchRange

ordered = st.lists(st.integers(1, MAX_BATCH), min_size=3, max_size=3).map(sorted)


@given(ordered)
def test_an_ordered_range_is_read_as_written(sizes: list[int]) -> None:
    expected = BatchRange(*sizes)
    assert parse_batch(str(expected)) == expected
    shapes = [f"image:{size}x3x112x112" for size in sizes]
    assert parse_shapes(shapes, 112) == expected


def test_one_number_means_exactly_that_batch() -> None:
    assert parse_batch("4") == BatchRange(4, 4, 4)


@pytest.mark.parametrize(
    "text", ["8:4:1", "0:1:2", "1:8", "", "a:b:c", "1:8:32:64", "-1:2:3", "1:2:99999", "1.5"]
)
def test_a_bad_batch_is_refused_with_rule_and_value(text: str) -> None:
    with pytest.raises(UsageError, match=r"(?s)--batch.*got"):
        parse_batch(text)


@pytest.mark.parametrize("sizes", [(8, 4, 2), (0, 1, 2), (1, 64, 32), (1, 1, MAX_BATCH + 1)])
def test_options_from_python_refuse_a_bad_batch_too(sizes: tuple[int, int, int]) -> None:
    """A gate at no batch size would pass everything."""
    with pytest.raises(UsageError, match="1 <= MIN <= OPT <= MAX"):
        ExportOptions(checkpoint=Path("c"), output=Path("o"), batch=BatchRange(*sizes))


@pytest.mark.parametrize(
    "text", ["image:1x3x48x48", "face:1x3x112x112", "image:1x3x112", "image:1x1x112x112", "1x3x112x112"]
)
def test_a_bad_shape_is_refused_with_the_right_one(text: str) -> None:
    with pytest.raises(UsageError, match="must be image:BATCHx3x112x112"):
        parse_shapes([text] * 3, 112)


@pytest.mark.parametrize(("text", "milliseconds"), [("5ms", 5), ("0.1s", 100), (".5ms", 0.5)])
def test_a_duration_is_read_in_its_unit(text: str, milliseconds: float) -> None:
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["5", "0ms", "-1ms", "ms", "5m"])
def test_a_duration_without_its_unit_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=rf"--latency-budget .* with its unit, got '{text}'"):
        parse_duration(text)
