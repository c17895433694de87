"""Scores of region weights, against hand-computed figures and the changes that the renderer states."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lnlattennet.data.synthetic import EXPRESSIONS
from lnlattennet.data.synthetic._splits import render_split
from lnlattennet.errors import UsageError
from lnlattennet.evaluation._crucial_regions import (
    crucial_region_figures,
    render_known_faces,
    top_k_hits,
    true_regions,
)

Floats = NDArray[np.float32]


def rows(*values: list[float]) -> Floats:
    return np.array(values, np.float32)


def drawn(seed: int, faces: int = 12, regions: int = 9) -> Floats:
    return np.random.default_rng(seed).dirichlet(np.full(regions, 0.5), faces).astype(np.float32)


def test_true_regions_are_the_smallest_set_that_holds_the_share() -> None:
    change = rows([0.5, 0.3, 0.15, 0.05], [0.25, 0.25, 0.25, 0.25], [0.1, 0.0, 0.0, 0.9])
    # The second face's three largest hold 75% only.
    assert true_regions(change).tolist() == [
        [True, True, False, False],
        [True, True, True, True],
        [False, False, False, True],
    ]


@given(seed=st.integers(0, 10_000), share=st.floats(0.1, 0.95))
@settings(max_examples=60, deadline=None)
def test_no_smaller_set_holds_the_share(seed: int, share: float) -> None:
    change = drawn(seed)
    for face, true in zip(change.astype(np.float64), true_regions(change, share), strict=True):
        held = face[true].sum()
        assert held >= share * face.sum() - 1e-5
        assert held - face[true].min() < share * face.sum()
        assert face[true].min() >= face[~true].max(initial=0)


def test_figures_of_a_hand_computed_example() -> None:
    """Face 1 has one true region of four, face 2 has two, face 3 is neutral and does not count."""
    change = rows([0.9, 0.1, 0, 0], [0, 0.5, 0.4, 0.1], [0, 0, 0, 0])
    weights = rows([0.4, 0.3, 0.2, 0.1], [0.4, 0.1, 0.3, 0.2], [1, 0, 0, 0])
    figures = crucial_region_figures(weights, change)
    assert figures.faces == 2
    assert figures.share_of_weight.value == pytest.approx((0.4 + 0.4) / 2)
    assert figures.uniform_share == pytest.approx((1 / 4 + 2 / 4) / 2)
    assert figures.times_uniform.value == pytest.approx((0.4 * 4 + 0.4 * 2) / 2)
    assert figures.best_possible == pytest.approx((4 + 2) / 2)
    assert figures.top_1_hit_rate.value == 0.5
    assert figures.top_3_hit_rate.value == 0.5


@pytest.mark.parametrize("regions", [4, 9, 16])
def test_even_weights_score_as_chance(regions: int) -> None:
    change = drawn(1, faces=300, regions=regions)
    even = np.full_like(change, 1 / regions)
    figures = crucial_region_figures(even, change)
    assert figures.times_uniform.value == pytest.approx(1, rel=1e-5)
    assert figures.share_of_weight.value == pytest.approx(figures.uniform_share, rel=1e-5)
    assert figures.top_1_hit_rate.value == pytest.approx(1 / regions)
    assert figures.top_3_hit_rate.value == pytest.approx(3 / regions)


def test_weights_that_follow_the_change_score_best() -> None:
    change = drawn(2, faces=50)
    perfect = np.where(true_regions(change), change, 0)
    figures = crucial_region_figures(perfect / perfect.sum(axis=1, keepdims=True), change)
    assert figures.share_of_weight.value == pytest.approx(1)
    assert figures.times_uniform.value == pytest.approx(figures.best_possible)
    assert figures.top_1_hit_rate.value == figures.top_3_hit_rate.value == 1


def test_top_k_hits_count_ranks_and_share_ties() -> None:
    weights = rows([0.4, 0.3, 0.2, 0.1], [0.4, 0.3, 0.2, 0.1], [0.4, 0.2, 0.2, 0.2])
    change = rows([0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1])
    assert top_k_hits(weights, change, 1).tolist() == [0, 0, 0]
    assert top_k_hits(weights, change, 2).tolist() == pytest.approx([1, 0, 1 / 3])
    assert top_k_hits(weights, change, 3).tolist() == pytest.approx([1, 0, 2 / 3])


def test_intervals_hold_the_value_and_shrink_with_more_faces() -> None:
    def width(faces: int) -> float:
        interval = crucial_region_figures(drawn(3, faces), drawn(4, faces)).share_of_weight
        assert interval.low <= interval.value <= interval.high
        return interval.high - interval.low

    assert width(800) < 0.5 * width(50)


def test_known_faces_are_the_held_out_split() -> None:
    known = render_known_faces(8, 3, size=32, grid=4)
    images, labels = render_split("test", 8, 32, seed=3)
    assert np.array_equal(known.images, images)
    assert np.array_equal(known.labels, labels)
    neutral = EXPRESSIONS.index("neutral")
    assert np.allclose(known.change.sum(axis=1), known.labels != neutral, atol=1e-4)


def test_chunks_are_all_faces_in_order() -> None:
    known = render_known_faces(70, 0, size=16, grid=3)
    chunks = list(known.chunks())
    assert [len(chunk) for chunk in chunks] == [64, 6]
    assert np.array_equal(np.concatenate([chunk.change for chunk in chunks]), known.change)


def test_faces_without_expression_cannot_be_scored() -> None:
    with pytest.raises(UsageError, match="none of the 3 faces shows an expression"):
        crucial_region_figures(np.full((3, 4), 0.25, np.float32), np.zeros((3, 4), np.float32))
