"""Measurement, face by face: the answer with regions covered in the order of every reading."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from lnlattennet.errors import UsageError
from lnlattennet.evaluation.faithfulness._covering import CURVE_FILL, FILLS, CoveredPredictor
from lnlattennet.evaluation.faithfulness._readings import RANDOM, SINGLE_DROP
from lnlattennet.evaluation.predictors._base import Faces

Floats = NDArray[np.floating[Any]]

RANDOM_ORDERS = 3
"""Random orders per face; their figures are averaged."""
_STEPS = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 7 / 8)
"""Shares of the regions that the curves stop at: closer where curves bend."""


@dataclass(frozen=True)
class Steps:
    """Numbers of regions that are covered, of K.

    Attributes:
        regions: K.
        quarter: a quarter of them, which the accuracies are measured with.
        counts: 0, the steps of the curves, and K.
    """

    regions: int
    quarter: int
    counts: tuple[int, ...]

    @classmethod
    def of(cls, regions: int) -> Steps:
        """Return the steps for K regions.

        Raises:
            UsageError: there are fewer than 4.
        """
        if regions < 4:
            raise UsageError(f"faithfulness covers a quarter of the regions, and this network has {regions}")
        inner = {round(share * regions) for share in _STEPS}
        quarter = round(regions / 4)
        return cls(regions, quarter, tuple(sorted({0, quarter, regions - quarter, regions} | inner)))


@dataclass(frozen=True)
class Measurements:
    """Figures per face, N faces and R readings; those of random orders are means over the orders.

    Attributes:
        readings: names [R]; the last one is the random order.
        scores: the other readings [N, R - 1, K].
        right: 1 where the uncovered face is predicted right, otherwise 0 [N].
        highest: fill to: the same with the highest quarter of the regions covered [N, R].
        lowest: fill to: the same with the lowest quarter covered [N, R].
        deletion: probability of the prediction with the ``counts`` highest regions covered [N, R, counts].
        insertion: the same with all but the ``counts`` highest covered [N, R, counts].
        correlation: rank correlation of the reading with the drop of that probability when each region alone
            is covered [N, R]; 0 for a reading that is the same everywhere.
    """

    readings: tuple[str, ...]
    scores: Floats
    right: Floats
    highest: Mapping[str, Floats]
    lowest: Mapping[str, Floats]
    deletion: Floats
    insertion: Floats
    correlation: Floats

    @classmethod
    def joined(cls, parts: list[Measurements]) -> Measurements:
        """Return the faces of all parts, of which there is at least one."""

        def join(name: str) -> Any:
            values = [getattr(part, name) for part in parts]
            if isinstance(values[0], dict):
                return {fill: np.concatenate([value[fill] for value in values]) for fill in values[0]}
            return np.concatenate(values)

        names = [field.name for field in dataclasses.fields(cls) if field.name != "readings"]
        return cls(parts[0].readings, **{name: join(name) for name in names})


def measure(
    predictor: CoveredPredictor, chunks: Iterable[tuple[Faces, NDArray[np.int64]]], seed: int
) -> Measurements:
    """Measure every reading on every face.

    Args:
        predictor: the network.
        chunks: one or more of RGB faces uint8 [n, S, S, 3] and their labels among the evaluated classes [n].
        seed: seed of the random orders, and of the order of regions that a reading ranks alike.
    """
    steps = Steps.of(predictor.network.config.regions)
    rng = np.random.default_rng(seed)
    return Measurements.joined([_measure(predictor, steps, *chunk, rng) for chunk in chunks])


def _measure(
    predictor: CoveredPredictor,
    steps: Steps,
    faces: Faces,
    labels: NDArray[np.int64],
    rng: np.random.Generator,
) -> Measurements:
    images = predictor.images(faces)
    fills = {name: predictor.images(fill(faces)) for name, fill in FILLS.items()}
    prediction, drop = _single_drops(predictor, images, fills[CURVE_FILL], steps.regions)
    scores = {name: values.cpu().numpy() for name, values in predictor.readings(images).items()}
    scores[SINGLE_DROP] = drop
    names = (*scores, RANDOM)
    # Where all regions are alike, the order of ties is the order.
    values = np.stack([*scores.values(), *[np.zeros_like(drop)] * RANDOM_ORDERS], axis=1)  # (n, R, K)
    ranks = _ranks(values, rng)[:, :, None]
    counts = np.array(steps.counts)[:, None]
    quarters = np.concatenate([ranks < steps.quarter, ranks >= steps.regions - steps.quarter], axis=2)
    curves = np.concatenate([quarters, ranks < counts, ranks >= counts], axis=2)

    def answers(fill: str) -> Floats:
        masks = curves if fill == CURVE_FILL else quarters
        flat = predictor.probabilities(images, fills[fill], masks.reshape(len(faces), -1, steps.regions))
        return flat.reshape(*masks.shape[:3], -1)  # (n, R, masks, classes)

    found = {fill: answers(fill) for fill in FILLS}
    right = {
        fill: _pool_random(value.argmax(axis=3) == labels[:, None, None]) for fill, value in found.items()
    }
    of_prediction = np.take_along_axis(found[CURVE_FILL], prediction[:, None, None, None], axis=3)[..., 0]
    deletion, insertion = np.split(_pool_random(of_prediction[:, :, 2:]), 2, axis=2)
    return Measurements(
        readings=names,
        scores=values[:, : len(scores)],
        right=(prediction == labels).astype(np.float64),
        highest={fill: value[:, :, 0] for fill, value in right.items()},
        lowest={fill: value[:, :, 1] for fill, value in right.items()},
        deletion=deletion,
        insertion=insertion,
        correlation=_pool_random(rank_correlation(values, drop[:, None])),
    )


def _single_drops(
    predictor: CoveredPredictor, images: Tensor, fill: Tensor, regions: int
) -> tuple[NDArray[np.int64], Floats]:
    """Return the predictions [n], and the drop of their probability with each region alone covered [n, K]."""
    masks = np.vstack([np.zeros((1, regions), np.bool_), np.eye(regions, dtype=np.bool_)])
    answers = predictor.probabilities(images, fill, np.broadcast_to(masks, (len(images), *masks.shape)))
    prediction = answers[:, 0].argmax(axis=1)
    probability = np.take_along_axis(answers, prediction[:, None, None], axis=2)[:, :, 0]
    return prediction, probability[:, :1] - probability[:, 1:]


def _ranks(values: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the rank of every region [n, R, K], 0 for the highest value; equal values in random order."""
    order = np.lexsort((rng.random(values.shape), -values), axis=-1)
    return np.argsort(order, axis=-1)


def _pool_random(values: NDArray[Any]) -> Floats:
    """Replace the last readings [n, R + RANDOM_ORDERS - 1, ...] by one, their mean."""
    random = values[:, -RANDOM_ORDERS:].mean(axis=1, keepdims=True)
    return np.concatenate([values[:, :-RANDOM_ORDERS], random], axis=1)


def rank_correlation(first: Floats, second: Floats) -> Floats:
    """Return Spearman's rank correlation over the last axis; 0 where one side is constant.

    ``scipy.stats.spearmanr`` takes one pair at a time, and gives NaN for a constant one.
    """
    ranks = [rankdata(values, axis=-1) for values in (first, second)]
    first, second = (rank - rank.mean(axis=-1, keepdims=True) for rank in ranks)
    norms = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    return np.asarray((first * second).sum(axis=-1) / np.where(norms > 0, norms, 1))
