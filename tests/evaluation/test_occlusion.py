"""Covered regions and the accuracy that they cost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lnlattennet.errors import UsageError
from lnlattennet.evaluation._occlusion import cover, occlusion_curve

Faces = NDArray[np.uint8]


def random_faces(count: int, size: int, seed: int = 0) -> Faces:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def covered_regions(before: Faces, after: Faces, grid: int) -> list[set[int]]:
    """Find the changed regions, pixel by pixel."""
    size = before.shape[1]
    edges = [round(size * edge / grid) for edge in range(grid + 1)]
    found: list[set[int]] = []
    for old, new in zip(before, after, strict=True):
        regions = set()
        for region in range(grid * grid):
            row, column = divmod(region, grid)
            part = np.s_[edges[row] : edges[row + 1], edges[column] : edges[column + 1]]
            if not np.array_equal(old[part], new[part]):
                assert (new[part] == old.mean(axis=(0, 1)).round()).all(), "a region is covered as a whole"
                regions.add(region)
        found.append(regions)
    return found


@given(grid=st.integers(1, 7), size=st.integers(16, 40), seed=st.integers(0, 100), data=st.data())
@settings(max_examples=40, deadline=None)
def test_exactly_so_many_regions_are_covered(grid: int, size: int, seed: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, grid * grid))
    faces = random_faces(3, size, seed)
    before = faces.copy()
    regions = covered_regions(faces, cover(faces, grid, count, seed), grid)
    assert [len(found) for found in regions] == [count] * 3
    assert np.array_equal(faces, before), "the input is not changed"


def test_a_face_is_covered_alike_in_every_batch() -> None:
    faces = random_faces(12, 24)
    together = cover(faces, 4, 3, seed=5)
    assert np.array_equal(together[::-1], cover(faces[::-1], 4, 3, seed=5))
    assert np.array_equal(together[4:6], cover(faces[4:6], 4, 3, seed=5))


def test_faces_and_seeds_differ_in_what_is_covered() -> None:
    faces = random_faces(40, 24)
    first = covered_regions(faces, cover(faces, 4, 1, seed=0), 4)
    second = covered_regions(faces, cover(faces, 4, 1, seed=1), 4)
    assert len(set.union(*first)) >= 12
    assert first != second


def test_a_larger_count_covers_what_a_smaller_one_did() -> None:
    faces = random_faces(10, 24)
    two, four = (covered_regions(faces, cover(faces, 4, count, seed=2), 4) for count in (2, 4))
    assert all(few < many for few, many in zip(two, four, strict=True))


@pytest.mark.parametrize("count", [-1, 10])
def test_a_count_beyond_the_regions_is_refused(count: int) -> None:
    with pytest.raises(UsageError, match=f"9 regions of a 3 x 3 grid, 0 to 9 can be covered, got {count}"):
        cover(random_faces(1, 24), 3, count, seed=0)


def bright_corner(faces: Faces) -> NDArray[np.float32]:
    """Class 1 where the first region is white, which no cover leaves so."""
    white = (faces[:, :6, :6] == 255).all(axis=(1, 2, 3))
    return np.asarray(np.stack([~white, white], axis=1), np.float32)


def test_the_curve_counts_what_a_plain_loop_counts() -> None:
    faces = random_faces(100, 24)
    faces[:, :6, :6] = 255
    labels = np.ones(100, np.int64)
    labels[:10] = 0
    curve = occlusion_curve(bright_corner, faces, labels, 4, (0, 2, 16), seed=1)
    assert [point.covered for point in curve] == [0, 2, 16]
    for point in curve:
        right = [
            int((cover(face[None], 4, point.covered, 1)[0, :6, :6] == 255).all()) == label
            for face, label in zip(faces, labels, strict=True)
        ]
        assert point.accuracy.value == pytest.approx(np.mean(right))
        assert point.accuracy.low <= point.accuracy.value <= point.accuracy.high
        assert point.loss.value == pytest.approx(0.9 - np.mean(right))
    assert curve[0].loss.low == curve[0].loss.high == 0
    # All covered: only those who were wrong before are right now.
    assert curve[2].accuracy.value == pytest.approx(0.1)


def test_the_curve_predicts_in_bounded_batches() -> None:
    asked: list[int] = []

    def predict(faces: Faces) -> NDArray[np.float32]:
        asked.append(len(faces))
        return np.zeros((len(faces), 2), np.float32)

    occlusion_curve(predict, random_faces(150, 16), np.zeros(150, np.int64), 2, (0, 1))
    assert asked == [64, 64, 22] * 2


def test_no_faces_are_refused() -> None:
    with pytest.raises(UsageError, match="at least one face"):
        occlusion_curve(bright_corner, random_faces(0, 24), np.zeros(0, np.int64), 4)
