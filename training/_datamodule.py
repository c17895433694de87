"""Batches for training: prepared once, normalized as the checkpoint says, ordered by the run's seed."""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from lnlattennet._atomic import replace_file
from lnlattennet._command import printable
from lnlattennet.errors import UsageError
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.training._augmentation import augment, chosen_augmentation
from lnlattennet.training._data import TrainingData
from lnlattennet.training._dataset import BalancedOrder, EpochOrder, FaceImages, Sample, collate
from lnlattennet.training._mixing import Mixing
from lnlattennet.training._options import TrainingOptions

MEMORY_LIMIT = 2 * 2**30
"""Bytes of prepared faces that are kept in memory; more go to a file in the run folder."""


class FaceBatches(L.LightningDataModule):
    """The faces of a run, decoded and cropped (or rendered) once.

    One process keeps up to ``memory_limit`` bytes of them in memory. Beyond that, and where several
    processes train together, they lie in memory-mapped files, `FOLDER/faces-SPLIT-NODE.npy`.
    """

    def __init__(
        self,
        data: TrainingData,
        preprocessing: Preprocessing,
        options: TrainingOptions,
        *,
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        super().__init__()
        self.data = data
        self.preprocessing = preprocessing
        self.options = options
        faces = sum(len(labels) for labels in data.labels.values())
        self.on_disk = options.processes > 1 or faces * preprocessing.size**2 * 3 > memory_limit
        self._images: dict[str, NDArray[np.uint8]] = {}

    def prepare_data(self) -> None:
        """Prepare every split; of several processes Lightning calls one per machine.

        Raises:
            UsageError: the faces do not fit on the disk of the run folder.
            ImageError, UnavailableError: see ``prepared_faces``.
        """
        for split, labels in self.data.labels.items():
            shape = (len(labels), self.preprocessing.size, self.preprocessing.size, 3)
            if self.on_disk:
                with replace_file(self._file(split)) as draft:
                    mapped = _new_mapped_file(draft, shape)
                    self.data.fill(split, self.preprocessing, mapped)
                    mapped.flush()
            else:
                self._images[split] = np.empty(shape, np.uint8)
                self.data.fill(split, self.preprocessing, self._images[split])

    def setup(self, stage: str | None = None) -> None:
        """Open the files, in every process."""
        if self.on_disk:
            self._images = {split: np.load(self._file(split), mmap_mode="r") for split in self.data.labels}

    def prepared(self, split: str) -> NDArray[np.uint8]:
        """Return the prepared faces of a split, RGB [N, S, S, 3]."""
        return self._images[split]

    def remove_files(self) -> None:
        """Remove what ``prepare_data`` wrote."""
        self._images.clear()
        for split in self.data.labels:
            self._file(split).unlink(missing_ok=True)

    def train_dataloader(self) -> DataLoader[Sample]:
        """Return this epoch's shuffled batches, augmented and mixed from the second epoch on.

        The first epoch shows the faces as they are: augmented from the start, the loss stayed at chance
        for about twice as many steps. Order, augmentation and mixing depend on seed and epoch alone, so
        that a resumed run goes on as it would have. A last batch that is not full is left out.
        """
        epoch = self.trainer.current_epoch if self.trainer else 0
        options, labels = self.options, self.data.labels["train"]
        change = chosen_augmentation(options.augmentation, options.magnitude)
        changed = (options.seed, epoch) if epoch and change else None
        faces = FaceImages(self._images["train"], self.data.training_targets, changed, change or augment)
        if options.balance == "sampler":
            order: EpochOrder = BalancedOrder(labels, options.seed, epoch)
        else:
            order = EpochOrder(len(labels), options.seed, epoch)
        return self._loader(faces, self._mixing(epoch), sampler=order, drop_last=True)

    def val_dataloader(self) -> DataLoader[Sample]:
        """Return the validation split in order."""
        return self.in_order("val")

    def in_order(self, split: str) -> DataLoader[Sample]:
        """Return a split's batches, every face once, as it is."""
        return self._loader(FaceImages(self._images[split], self.data.labels[split]))

    def _mixing(self, epoch: int) -> Mixing | None:
        options = self.options
        if not epoch or not (options.mixup or options.cutmix):
            return None
        return Mixing(
            mixup=options.mixup,
            cutmix=options.cutmix,
            classes=len(self.data.class_names),
            seed=options.seed,
            epoch=epoch,
        )

    def _loader(self, faces: FaceImages, mixing: Mixing | None = None, **options: Any) -> DataLoader[Sample]:
        # On a CPU, loader processes would compete with training for the cores: augmenting a face takes
        # about a tenth of training on it. A GPU would wait for that, so there they load ahead.
        if torch.cuda.is_available():
            options |= {
                "num_workers": self.options.workers,
                "multiprocessing_context": "fork",
                "pin_memory": True,
            }
        collate_fn = partial(collate, preprocessing=self.preprocessing, mixing=mixing)
        return DataLoader(faces, self.options.batch_size, collate_fn=collate_fn, **options)

    def _file(self, split: str) -> Path:
        # Each machine has its own, also in a run folder that all share: one that has ended removes its file
        # while the first still evaluates.
        node = self.trainer.node_rank if self.trainer else 0
        return self.options.run_folder / f"faces-{split}-{node}.npy"


def _new_mapped_file(file: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.uint8]]:
    """Return an array of bytes that is stored in a new .npy file, whose space on the disk is taken at once.

    Otherwise a disk that fills up while the array is written would end the process by a signal (SIGBUS).
    """
    try:
        mapped: np.memmap[Any, np.dtype[np.uint8]] = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]
            file, mode="w+", dtype=np.uint8, shape=shape
        )
        with file.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, file.stat().st_size)
    except OSError as error:
        raise UsageError(
            f"prepared faces of {math.prod(shape):,} bytes cannot be written into {printable(file.parent)} "
            f"({error.strerror or error}): choose a --run-folder on a disk with more space"
        ) from error
    return mapped
