"""Flags of export-engine: what they accept, and how they refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnlattennet.errors import UsageError
from lnlattennet.export.backends.base import BatchRange
from lnlattennet.export.gate import batch_sizes
from lnlattennet.export.options import DEFAULT_ATOL, MAX_BATCH, parse_batch, parse_shapes, parse_tolerances

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


@pytest.mark.parametrize(
    "text", ["image:1x3x48x48", "face:1x3x112x112", "image:1x3x112", "image:1x1x112x112", "1x3x112x112"]
)
def test_a_bad_shape_is_refused_with_the_right_one(text: str) -> None:
    with pytest.raises(UsageError, match="must be image:BATCHx3x112x112"):
        parse_shapes([text] * 3, 112)


def test_tolerances_are_read_per_output_or_for_all() -> None:
    assert parse_tolerances("--atol", [], DEFAULT_ATOL) == DEFAULT_ATOL
    found = parse_tolerances("--atol", ["1e-2", "logits:1e-3"], DEFAULT_ATOL)
    assert found == {"logits": 1e-3, "region_weights": 1e-2, "region_affinity": 1e-2}


@pytest.mark.parametrize("text", ["logit:1e-3", "logits:x", "logits:", "-1", "nan", "inf", "logits:-0.1"])
def test_a_bad_tolerance_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--atol"):
        parse_tolerances("--atol", [text], DEFAULT_ATOL)


@given(ordered)
def test_the_checked_sizes_are_in_range_and_hold_both_ends(sizes: list[int]) -> None:
    batch = BatchRange(*sizes)
    checked = batch_sizes(batch)
    assert {batch.minimum, batch.optimum, batch.maximum} <= set(checked)
    assert all(batch.minimum <= size <= batch.maximum for size in checked)
    assert {size for size in (1, 2, 5) if batch.minimum <= size <= batch.maximum} <= set(checked)
