"""Batches for training: normalised by the checkpoint's own recipe, shuffled by the run's seed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from lnlattennet.model.preprocessing import Preprocessing
from lnlattennet.training.augmentation import augment
from lnlattennet.training.rendered_faces import render_split

Sample = tuple[NDArray[np.uint8], int]


class FaceImages(Dataset[Sample]):
    """Faces in memory: RGB uint8 [N, S, S, 3] with labels [N].

    With ``augmentation``, a pair (seed, epoch), every face is changed at random, and in the same way
    whenever the same epoch of the same run is repeated.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        augmentation: tuple[int, int] | None = None,
    ) -> None:
        self.images = images
        self.labels = labels
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        image = self.images[index]
        if self.augmentation is not None:
            image = augment(image, np.random.default_rng((*self.augmentation, index)))
        return image, int(self.labels[index])


class EpochOrder(Sampler[int]):
    """The order of one epoch of one run, the same however often a loader is asked for it."""

    def __init__(self, count: int, seed: int, epoch: int) -> None:
        self.count = count
        self.seed = seed * 65_536 + epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self.count, generator=torch.Generator().manual_seed(self.seed)).tolist())


def collate(samples: list[Sample], recipe: Preprocessing) -> tuple[Tensor, Tensor]:
    """Stack samples to the network's input [B, 3, S, S] float32 and targets [B] int64."""
    images, labels = zip(*samples, strict=True)
    faces = torch.from_numpy(recipe.normalize(np.stack(images)))
    return faces.contiguous(memory_format=torch.channels_last), torch.tensor(labels)


class SyntheticFaces(L.LightningDataModule):
    """Rendered faces in three splits (see ``rendered_faces.SPLITS``)."""

    def __init__(
        self, recipe: Preprocessing, counts: dict[str, int], *, batch_size: int, seed: int, workers: int
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.counts = counts
        self.batch_size = batch_size
        self.seed = seed
        self.workers = workers
        self._splits: dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]] = {}

    def train_dataloader(self) -> DataLoader[Sample]:
        """Return this epoch's shuffled batches, augmented from the second epoch on; the last is left out.

        The first epoch shows the faces as they are: augmented from the start, the loss stayed at chance
        for about twice as many steps. Order and augmentation depend on seed and epoch alone, so that a
        resumed run goes on as it would have.
        """
        epoch = self.trainer.current_epoch if self.trainer else 0
        faces = FaceImages(*self._rendered("train"), augmentation=(self.seed, epoch) if epoch else None)
        return self._loader(faces, sampler=EpochOrder(len(faces), self.seed, epoch), drop_last=True)

    def val_dataloader(self) -> DataLoader[Sample]:
        """Return the validation split in order."""
        return self._loader(FaceImages(*self._rendered("val")))

    def test_dataloader(self) -> DataLoader[Sample]:
        """Return the held-out split in order."""
        return self._loader(FaceImages(*self._rendered("test")))

    def _rendered(self, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        if split not in self._splits:
            self._splits[split] = render_split(
                split, self.counts[split], self.recipe.size, seed=self.seed, workers=self.workers
            )
        return self._splits[split]

    def _loader(self, faces: FaceImages, **options: Any) -> DataLoader[Sample]:
        # The images are in memory, and augmenting one takes about a tenth of training on it: loader
        # processes would compete with training for the cores.
        collate_fn = partial(collate, recipe=self.recipe)
        return DataLoader(faces, self.batch_size, collate_fn=collate_fn, **options)
