"""Streaming means equal the means of everything at once."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lnlattennet.evaluation.explain._class_means import ClassMeans
from lnlattennet.evaluation.explain._internals import Explanation

FACES, REGIONS = 25, 4


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


def explanation_of(rng: np.random.Generator, count: int) -> Explanation:
    shapes = ((count, 3), (count, REGIONS), (count, REGIONS, REGIONS), (count, 2, 6, 6))
    return Explanation(*(rng.random(shape).astype(np.float32) for shape in shapes))


def part(whole: Explanation, chosen: NDArray[np.int64] | slice) -> Explanation:
    return Explanation(
        whole.probabilities[chosen],
        whole.weights[chosen],
        whole.affinity[chosen],
        whole.local_attention[chosen],
    )


def test_chunks_add_up_to_the_mean_of_all(rng: np.random.Generator) -> None:
    faces = rng.integers(0, 256, (FACES, 8, 8, 3), np.uint8)
    labels = rng.integers(0, 2, FACES)
    change = rng.random((FACES, REGIONS)).astype(np.float32)
    whole = explanation_of(rng, FACES)
    means = ClassMeans(("a", "b", "unseen"))
    for start in range(0, FACES, 7):
        chunk = slice(start, start + 7)
        means.add(faces[chunk], labels[chunk], part(whole, chunk), change[chunk])
    rows = means.means()
    assert [row.name for row in rows] == ["a", "b"], "a class without faces has no mean"
    for label, row in enumerate(rows):
        chosen = np.flatnonzero(labels == label)
        assert row.count == len(chosen)
        assert np.allclose(row.face, faces[chosen].mean(axis=0))
        assert np.allclose(row.weights, whole.weights[chosen].mean(axis=0))
        assert np.allclose(row.affinity, whole.affinity[chosen].mean(axis=0))
        assert np.allclose(row.attention, whole.local_attention[chosen].mean(axis=(0, 1)))
        assert row.change is not None
        assert np.allclose(row.change, change[chosen].mean(axis=0))
    assert np.allclose(means.mean_weights(), whole.weights.mean(axis=0))


def test_the_table_holds_the_row_of_the_chosen_region(rng: np.random.Generator) -> None:
    whole = explanation_of(rng, 2)
    means = ClassMeans(("a",))
    means.add(np.zeros((2, 8, 8, 3), np.uint8), np.zeros(2, np.int64), whole)
    table = means.means()[0].to_dict(region=2)
    assert table["affinity_row"] == pytest.approx(whole.affinity[:, 2].mean(axis=0).tolist(), abs=1e-6)
    assert table["faces"] == 2
    assert "visible_change" not in table
