"""Columns: few enough, wide enough, and nothing lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnlattennet.streams.timeline._time_bins import TimeBins


@given(
    st.floats(0, 1e5),
    st.lists(st.tuples(st.floats(0.001, 50), st.floats(0, 20)), min_size=1, max_size=80),
    st.integers(2, 40),
)
@settings(max_examples=50)
def test_sums_are_kept_in_few_columns(start: float, parts: list[tuple[float, float]], most: int) -> None:
    bins = TimeBins(2, 1 / 64, most)
    time, total = start, 0.0
    for duration, gap in parts:
        bins.add(time, time + duration, np.array([1.0, 0.25]))
        total += duration
        time += duration + gap
    assert len(bins.sums) <= most
    assert bins.sums.sum(axis=0) == pytest.approx([total, total / 4], rel=1e-4)
    assert (bins.sums[:, 0] <= bins.width * 1.0001).all()
    assert bins.edges[0] <= start
    assert bins.edges[-1] >= time - parts[-1][1] - 1e-9
    coarse = bins.coarser(1 + most // 3, width=0.5)
    assert len(coarse.sums) <= 1 + most // 3
    assert coarse.width >= 0.5
    assert coarse.sums.sum(axis=0) == pytest.approx(bins.sums.sum(axis=0), rel=1e-4)
    assert np.log2(coarse.width * 64) % 1 == 0


def test_a_value_over_two_columns_is_divided() -> None:
    bins = TimeBins(1, 1.0)
    bins.add(0.75, 2.5, np.array([2.0]))
    assert bins.sums[:, 0].tolist() == [0.5, 2.0, 1.0]
    assert bins.edges.tolist() == [0, 1, 2, 3]
    assert bins.coarser(2).sums[:, 0].tolist() == [2.5, 1.0]
