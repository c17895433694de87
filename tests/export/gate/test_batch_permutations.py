"""Batches that the gate runs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lnlattennet.export.gate._check import batch_permutations, batch_sizes
from lnlattennet.runtimes._base import BatchRange

ordered = st.lists(st.integers(1, 4096), min_size=3, max_size=3).map(sorted)


@given(ordered)
def test_the_checked_sizes_are_in_range_and_hold_both_ends_and_an_odd_one(sizes: list[int]) -> None:
    batch = BatchRange(*sizes)
    checked = batch_sizes(batch)
    assert {batch.minimum, batch.optimum, batch.maximum} <= set(checked)
    assert all(batch.minimum <= size <= batch.maximum for size in checked)
    known = (1, 2, 4, 5, 8, 16, 1024)
    assert {size for size in known if batch.minimum <= size <= batch.maximum} <= set(checked)
    several = range(max(2, batch.minimum), batch.maximum + 1)
    assert any(size % 2 for size in checked if size > 1) or not any(size % 2 for size in several[:2])


@settings(deadline=None)
@given(size=st.integers(1, 40), faces=st.integers(1, 120), every=st.booleans())
def test_faces_come_again_in_other_places_and_beside_others(size: int, faces: int, every: bool) -> None:
    orders = list(batch_permutations(size, faces, every_face=every))
    assert all(order.shape == (size,) and (order >= 0).all() and (order < faces).all() for order in orders)
    if every:
        assert set(np.concatenate(orders).tolist()) == set(range(faces))
    assert sum(map(len, orders)) <= (faces + 3 * size if every else 3 * size)
    first, reversed_, mixed = orders[0], orders[-2], orders[-1]
    assert reversed_.tolist() == first.tolist()[::-1]
    assert mixed[::2].tolist() == first[::2].tolist()
    if faces >= 2 * size:
        assert len(set(first.tolist())) == size
        assert not set(mixed[1::2].tolist()) & set(first.tolist())
