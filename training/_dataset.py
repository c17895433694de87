"""Prepared faces as a torch data set, and the orders in which an epoch shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.training._augmentation import Augmentation, augment
from lnlattennet.training._mixing import Mixing


class Sample(NamedTuple):
    """One face of a batch.

    Attributes:
        image: RGB uint8 [S, S, 3].
        target: class index, or class probabilities float32 [classes].
        draw: number of the draw in its epoch.
    """

    image: NDArray[np.uint8]
    target: NDArray[Any]
    draw: int


class FaceImages(Dataset[Sample]):
    """Prepared faces, RGB uint8 [N, S, S, 3]; in memory or in a file that is mapped into it.

    Their targets are class indices int64 [N], or class probabilities float32 [N, classes].

    With ``augmentation``, a pair (seed, epoch), every face is changed at random, and in the same way
    whenever the same epoch of the same run is repeated. Indices from N on stand for further draws of the
    same faces in one epoch: index mod N is shown, with other changes.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        targets: NDArray[Any],
        augmentation: tuple[int, int] | None = None,
        change: Augmentation = augment,
    ) -> None:
        self.images = images
        self.targets = targets
        self.augmentation = augmentation
        self.change = change

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: int) -> Sample:
        index = draw % len(self)
        image = self.images[index]
        if self.augmentation is not None:
            image = self.change(image, np.random.default_rng((*self.augmentation, draw)))
        return Sample(image, self.targets[index], draw)


class EpochOrder(Sampler[int]):
    """The order of one epoch of one run, the same however often a loader is asked for it."""

    def __init__(self, count: int, seed: int, epoch: int) -> None:
        self.count = count
        self.seed = seed * 65_536 + epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self.count, generator=self.generator()).tolist())

    def generator(self) -> torch.Generator:
        """Return the epoch's own random generator."""
        return torch.Generator().manual_seed(self.seed)


class BalancedOrder(EpochOrder):
    """As many draws as there are faces, every class equally likely, whatever its size.

    The r-th draw of a face beyond its first is its index plus r times the number of faces, so that
    ``FaceImages`` changes each draw in another way.
    """

    def __init__(self, labels: NDArray[np.int64], seed: int, epoch: int) -> None:
        super().__init__(len(labels), seed, epoch)
        self.chances = torch.from_numpy(1 / np.bincount(labels)[labels])

    def __iter__(self) -> Iterator[int]:
        drawn = torch.multinomial(self.chances, self.count, replacement=True, generator=self.generator())
        times = [0] * self.count
        for index in drawn.tolist():
            yield index + times[index] * self.count
            times[index] += 1


def class_weights(targets: NDArray[Any], classes: int) -> Tensor:
    """Return each class's weight in the loss [classes], N / (classes * its faces).

    Args:
        targets: class indices int64 [N], or class probabilities [N, classes], whose sums are the faces.
        classes: number of classes.
    """
    faces = np.bincount(targets, minlength=classes) if targets.ndim == 1 else targets.sum(axis=0)
    return torch.from_numpy(len(targets) / (classes * faces)).float()


def collate(
    samples: list[Sample], preprocessing: Preprocessing, mixing: Mixing | None = None
) -> tuple[Tensor, Tensor]:
    """Stack samples to the network's input [B, 3, S, S] float32 and targets, mixed where ``mixing`` is given.

    Targets are class indices [B] int64, or class probabilities [B, classes] float32.
    """
    images, labels, draws = zip(*samples, strict=True)
    # In memory this is torch's channels_last: nothing is copied into another order.
    faces = torch.from_numpy(preprocessing.normalize_pixels(np.stack(images))).permute(0, 3, 1, 2)
    targets = torch.from_numpy(np.stack(labels))
    # An epoch draws no number twice, so the first one tells its batches apart.
    return mixing(faces, targets, draws[0]) if mixing else (faces, targets)
