"""Measurement on a network that needs one region alone, and its parts against independent ones."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn

from lnlattennet.data.synthetic import render_face
from lnlattennet.errors import UsageError
from lnlattennet.evaluation._occlusion import cover
from lnlattennet.evaluation.faithfulness._covering import FILLS, CoveredPredictor
from lnlattennet.evaluation.faithfulness._figures import area, reading_figures
from lnlattennet.evaluation.faithfulness._measure import Steps, measure, rank_correlation
from lnlattennet.evaluation.faithfulness._readings import RANDOM, SINGLE_DROP
from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.model._preprocessing import Preprocessing

NEEDED = 5


class OneRegion(nn.Module):
    """Answers by the brightness of one region: class 0 if it is dark, class 1 if it is bright."""

    config = SimpleNamespace(grid=4, regions=16)

    def forward(self, images: Tensor) -> Any:
        row, column = divmod(NEEDED, 4)
        brightness = images[:, :, row * 8 : row * 8 + 8, column * 8 : column * 8 + 8].mean(dim=(1, 2, 3))
        return SimpleNamespace(logits=torch.stack([-brightness, brightness], dim=1))


class Readings(CoveredPredictor):
    """One reading that knows the needed region, and one that knows it and ranks it last."""

    def readings(self, images: Tensor) -> dict[str, Tensor]:
        knows = torch.zeros(len(images), 16)
        knows[:, NEEDED] = 1
        return {"faithful": knows, "unfaithful": -knows}


@pytest.fixture(scope="module")
def faces() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Gray faces whose needed region differs so much from the rest that their mean has the other sign."""
    labels = np.arange(40) % 2
    faces = np.where(labels[:, None, None, None] == 1, 110, 145) * np.ones((40, 32, 32, 3))
    faces[:, 8:16, 8:16] = 255 * labels[:, None, None, None]
    return faces.astype(np.uint8), labels


def test_a_faithful_reading_finds_the_region_that_the_answer_needs(
    faces: tuple[NDArray[np.uint8], NDArray[np.int64]],
) -> None:
    predictor = Readings(cast(Any, OneRegion()), Preprocessing(size=32), torch.arange(2))
    images, labels = faces
    measured = measure(predictor, [(images[:30], labels[:30]), (images[30:], labels[30:])], seed=0)
    figures = {figure.name: figure for figure in reading_figures(measured, Steps.of(16))}
    assert list(figures) == ["faithful", "unfaithful", SINGLE_DROP, RANDOM]
    assert measured.right.mean() == 1
    for name in ("faithful", SINGLE_DROP):
        assert figures[name].covered["mean"].highest == (1, 1, 1)
        assert figures[name].covered["mean"].lowest == (0, 0, 0)
        assert figures[name].rank_correlation == pytest.approx((1, 1, 1))
    assert figures["unfaithful"].covered["mean"].highest == (0, 0, 0)
    assert figures["unfaithful"].covered["mean"].lowest == (1, 1, 1)
    assert figures["unfaithful"].rank_correlation == pytest.approx((-1, -1, -1))
    assert figures[RANDOM].rank_correlation == (0, 0, 0)
    random = figures[RANDOM].covered["mean"]
    assert 0.1 < random.highest.value < 0.4, "a quarter of the regions holds the needed one for a quarter"
    times = figures["faithful"].covered["mean"].times_random
    assert times is not None
    assert times.value == pytest.approx(1 / random.highest.value)
    order = [figures[name].deletion.value for name in ("faithful", RANDOM, "unfaithful")]
    assert order == sorted(order)
    order = [figures[name].insertion.value for name in ("unfaithful", RANDOM, "faithful")]
    assert order == sorted(order)
    probability = figures["faithful"].deletion_curve
    assert probability[0] > 0.8
    assert probability[1:] == pytest.approx([probability[-1]] * 6), "all is lost with the first regions"
    assert figures["faithful"].insertion_curve[0] == pytest.approx(probability[-1])
    assert figures["faithful"].insertion_curve[-1] == pytest.approx(probability[0])


def test_the_same_seed_gives_the_same_figures_however_the_faces_come(
    faces: tuple[NDArray[np.uint8], NDArray[np.int64]],
) -> None:
    predictor = Readings(cast(Any, OneRegion()), Preprocessing(size=32), torch.arange(2))
    images, labels = faces
    first, again, other = (
        measure(predictor, chunks, seed=seed)
        for chunks, seed in (
            ([(images, labels)], 0),
            ([(images[:7], labels[:7]), (images[7:], labels[7:])], 0),
            ([(images, labels)], 1),
        )
    )
    np.testing.assert_array_equal(first.highest["blur"], again.highest["blur"])
    np.testing.assert_array_equal(first.deletion, again.deletion)
    assert (first.deletion != other.deletion).any()


def test_regions_are_covered_as_the_occlusion_curve_covers_them(checkpoint_path: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    preprocessing = checkpoint.info.preprocessing
    predictor = CoveredPredictor(checkpoint.network(), preprocessing, torch.arange(7))
    faces = np.stack([render_face(seed, "anger", size=48, with_regions=False).image for seed in range(3)])
    covered = cover(faces, 4, 4, seed=0)
    changed = (covered != faces).any(axis=3).reshape(3, 4, 12, 4, 12).any(axis=(2, 4)).reshape(3, 16)
    masks = np.stack([changed, np.zeros_like(changed), changed], axis=1)
    answers = predictor.probabilities(predictor.images(faces), predictor.images(FILLS["mean"](faces)), masks)
    with torch.no_grad():
        expected = [
            predictor.network(predictor.images(images)).logits.double().softmax(1).numpy()
            for images in (covered, faces, covered)
        ]
    np.testing.assert_allclose(answers, np.stack(expected, axis=1), atol=1e-6)


def test_rank_correlation_is_spearman_s_and_0_for_constants() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 9, (20, 16)).astype(float), rng.random((20, 16))
    expected = [spearmanr(a, b).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(rank_correlation(first, second), expected)
    assert rank_correlation(np.ones(5), np.arange(5.0)) == 0


def test_steps_hold_both_quarters_whatever_the_number_of_regions() -> None:
    assert Steps.of(16).counts == (0, 2, 4, 8, 12, 14, 16)
    for regions in (4, 9, 25, 256):
        steps = Steps.of(regions)
        assert {0, steps.quarter, regions - steps.quarter, regions} <= set(steps.counts)
    with pytest.raises(UsageError, match="this network has 1"):
        Steps.of(1)


def test_the_area_under_a_curve_is_that_of_its_trapezoids() -> None:
    steps = Steps.of(16)
    shares = np.array(steps.counts) / 16
    assert area(shares, steps) == pytest.approx(0.5)
    assert area(np.ones(7), steps) == pytest.approx(1)
    assert area(np.array([1.0, 0, 0, 0, 0, 0, 0]), steps) == pytest.approx(1 / 16)
