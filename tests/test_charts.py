"""Scales: order is kept, everything fits, and there are ticks to read it by."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lnlattennet._charts import LinearAxis, LogAxis

LATENCIES = st.lists(st.floats(1e-3, 1e5), min_size=1, max_size=12)


@given(LATENCIES)
def test_values_fit_on_a_scale_around_them_in_their_order(values: list[float]) -> None:
    axis = LogAxis.around(values)
    places = [axis.at(value) for value in sorted(values)]
    assert all(0 < place < 100 for place in places)
    assert places == sorted(places)


@given(LATENCIES)
def test_a_logarithmic_scale_has_ticks_and_not_too_many(values: list[float]) -> None:
    axis = LogAxis.around(values)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= 6
    assert all(axis.low * 0.999 <= tick <= axis.high * 1.001 for tick in ticks)
    assert all(low < high for low, high in pairwise(ticks))


@given(st.floats(0, 0.999), st.floats(1e-4, 1))
def test_a_linear_scale_has_ticks_too(low: float, span: float) -> None:
    axis = LinearAxis(low, low + span)
    assert 2 <= len(axis.ticks()) <= 6
    assert all(low - span * 1e-5 <= tick <= low + span * 1.00001 for tick in axis.ticks())
    assert (axis.at(low), axis.at(low + span), axis.at(low - 1)) == (0, 100, 0)


def test_values_outside_are_at_the_nearer_end() -> None:
    axis = LogAxis(1e-3, 10)
    assert [axis.at(value) for value in (0.0, 1e-9, 1e-3, 0.1, 10, math.inf, math.nan)] == [
        0,
        0,
        0,
        50,
        100,
        100,
        100,
    ]
    assert LogAxis.decades([0.0, 3e-8, 2.0], 1e-6, 1e4) == LogAxis(1e-6, 10.0)
