"""Batches for training: normalised by the checkpoint's own recipe, shuffled by the run's seed."""

from __future__ import annotations

from functools import partial

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lnlattennet.model.preprocessing import Preprocessing
from lnlattennet.training.rendered_faces import render_split

Sample = tuple[NDArray[np.uint8], int]


class FaceImages(Dataset[Sample]):
    """Faces in memory: RGB uint8 [N, S, S, 3] with labels [N]; ``flip`` mirrors half of them at random."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64], *, flip: bool = False) -> None:
        self.images = images
        self.labels = labels
        self.flip = flip

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        image = self.images[index]
        if self.flip and torch.rand(()) < 0.5:
            image = image[:, ::-1]
        return image, int(self.labels[index])


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
        self._splits: dict[str, FaceImages] = {}

    def train_dataloader(self) -> DataLoader[Sample]:
        """Return shuffled, mirrored batches; the last, smaller one is left out."""
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Sample]:
        """Return the validation split in order."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """Return the held-out split in order."""
        return self._loader("test")

    def _loader(self, split: str, *, shuffle: bool = False) -> DataLoader[Sample]:
        if split not in self._splits:
            images, labels = render_split(
                split, self.counts[split], self.recipe.size, seed=self.seed, workers=self.workers
            )
            self._splits[split] = FaceImages(images, labels, flip=shuffle)
        # The images are in memory already: loader processes would only copy them.
        return DataLoader(
            self._splits[split],
            self.batch_size,
            shuffle=shuffle,
            drop_last=shuffle,
            collate_fn=partial(collate, recipe=self.recipe),
        )
