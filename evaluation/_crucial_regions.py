"""Agreement of the region weights with the regions that show the expression, on rendered faces.

The renderer computes the share of the visible change in every region, against the same face at rest. The
**true regions** of a face are the smallest set of regions that holds at least 80% of that change: about 5
of 16. It is a share and not a number of regions, because one expression moves the whole face and another
only the mouth. It is 80%, because the rest is spread thinly over regions that a moving edge barely touches.
Neutral faces change nowhere and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet._statistics import Estimate, mean_interval
from lnlattennet.data.synthetic import EXPRESSIONS, RenderedFace, render_face
from lnlattennet.data.synthetic._one_thread import one_opencv_thread
from lnlattennet.data.synthetic._splits import RENDERED_SPLITS
from lnlattennet.errors import UsageError
from lnlattennet.evaluation.predictors._base import BATCH

SHARE_OF_CHANGE = 0.8


@dataclass(frozen=True)
class KnownFaces:
    """Rendered faces whose changing regions are known.

    Attributes:
        images: RGB uint8 [N, S, S, 3].
        labels: indices into ``EXPRESSIONS`` [N].
        change: share of the visible change per region [N, K]; rows sum to 1, or are 0 for neutral faces.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    change: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)

    def chunks(self, size: int = BATCH) -> Iterator[KnownFaces]:
        """Yield them in parts of up to ``size`` faces."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield KnownFaces(self.images[part], self.labels[part], self.change[part])


@dataclass(frozen=True)
class CrucialRegions:
    """Share of the region weights on the true regions, over faces that show an expression.

    Attributes:
        faces: number of scored faces.
        share_of_weight: weight on the true regions; 1 is all.
        uniform_share: weight that even weights (1/K each) put there.
        times_uniform: share of the weight over the even share, face by face.
        best_possible: ``times_uniform`` of weights on true regions only.
        top_1_hit_rate: share of faces whose highest weighted region is the one that changes most; chance 1/K.
        top_3_hit_rate: share of faces with that region among the three highest weighted; chance 3/K.
    """

    faces: int
    share_of_weight: Estimate
    uniform_share: float
    times_uniform: Estimate
    best_possible: float
    top_1_hit_rate: Estimate
    top_3_hit_rate: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            name: value.to_dict() if isinstance(value, Estimate) else round(value, 4)
            for name, value in vars(self).items()
        }


def crucial_region_figures(weights: NDArray[np.float32], change: NDArray[np.float32]) -> CrucialRegions:
    """Score region weights [N, K] against the known share of change per region [N, K].

    Raises:
        UsageError: no face changes anywhere.
    """
    shown = change.sum(axis=1) > 0
    if not shown.any():
        raise UsageError(
            f"none of the {len(change)} faces shows an expression, so no region is crucial: score at least "
            f"{len(EXPRESSIONS)} faces"
        )
    weights, change = weights[shown], change[shown]
    true = true_regions(change)
    share = (weights * true).sum(axis=1, dtype=np.float64)
    even = true.mean(axis=1)
    return CrucialRegions(
        faces=len(share),
        share_of_weight=mean_interval(share),
        uniform_share=float(even.mean()),
        times_uniform=mean_interval(share / even),
        best_possible=float((1 / even).mean()),
        top_1_hit_rate=mean_interval(top_k_hits(weights, change, 1)),
        top_3_hit_rate=mean_interval(top_k_hits(weights, change, 3)),
    )


def true_regions(change: NDArray[np.float32], share: float = SHARE_OF_CHANGE) -> NDArray[np.bool_]:
    """Mark the smallest set of regions that holds at least ``share`` of each face's change [N, K]."""
    order = np.argsort(-change, axis=1, kind="stable")
    ranked = np.take_along_axis(change.astype(np.float64), order, axis=1)
    before = ranked.cumsum(axis=1) - ranked
    true = np.zeros(change.shape, np.bool_)
    # A region belongs while those before it hold less; rounding must not add one more.
    np.put_along_axis(true, order, before < share * ranked.sum(axis=1, keepdims=True) - 1e-6, axis=1)
    return true


def top_k_hits(weights: NDArray[np.float32], change: NDArray[np.float32], k: int) -> NDArray[np.float64]:
    """Return 1 for every face whose most changing region is among the ``k`` highest weighted, else 0: [N].

    Equal weights share their ranks: even weights hit with k/K in any order.
    """
    target = np.take_along_axis(weights, change.argmax(axis=1)[:, None], axis=1)
    higher, equal = (weights > target).sum(axis=1), (weights == target).sum(axis=1)
    return np.asarray(((k - higher) / equal).clip(0, 1))


def render_known_faces(count: int, seed: int, *, size: int, grid: int) -> KnownFaces:
    """Render the first ``count`` faces of the held-out split, with what changed in them.

    Args:
        count: number of faces, the expressions in turn.
        seed: seed of the run, 0 or more; another one gives other people.
        size: side in pixels.
        grid: regions per side.
    """
    with one_opencv_thread():
        faces = [_render(index, seed, size, grid) for index in range(count)]
    return KnownFaces(
        images=np.stack([face.image for face in faces]),
        labels=np.array([face.label for face in faces], np.int64),
        change=np.stack([face.regions.ravel() for face in faces]),
    )


def _render(index: int, seed: int, size: int, grid: int) -> RenderedFace:
    split = RENDERED_SPLITS["test"]
    return render_face(
        split.first_face(seed) + index,
        EXPRESSIONS[index % len(EXPRESSIONS)],
        size=size,
        grid=grid,
        nuisance=split.nuisance,
    )
