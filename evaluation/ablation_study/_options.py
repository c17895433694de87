"""Options of an ablation study: everything that decides its figures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lnlattennet.model._config import NetworkConfig
from lnlattennet.training._options import Precision, TrainingOptions


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """Options like the demo checkpoint's, but smaller, so that 18 trainings take an hour and not a day.

    Attributes:
        seeds: one training of every ablation each, on other faces.
        train_images, test_images: numbers of faces; the held-out ones also differ in light, hair and glasses.
        epochs, batch_size, learning_rate: settings of every training; the last epoch is evaluated.
        precision: Lightning's name of the precision; bf16 is much slower on CPUs without bf16 units.
        network: the full network's configuration.
        workers: number of rendering processes.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    train_images: int = 12_000
    test_images: int = 1_400
    epochs: int = 8
    batch_size: int = 64
    learning_rate: float = 2e-3
    precision: Precision = "bf16-mixed"
    network: NetworkConfig = field(
        default_factory=lambda: NetworkConfig(image_size=64, widths=(16, 32, 48), channels=32)
    )
    workers: int = 2

    def settings(self) -> dict[str, Any]:
        """Return what decides a run's figures, as plain JSON values."""
        fields = dataclasses.asdict(self) | {"network": self.network.to_dict()}
        return {name: value for name, value in fields.items() if name not in ("seeds", "workers")}

    def training(self, seed: int, folder: Path) -> TrainingOptions:
        """Return the options of one training, whose logs go to ``folder``."""
        return TrainingOptions(
            output=folder / "unused.safetensors",
            run_folder=folder,
            network=self.network,
            images={"train": self.train_images, "val": 7},
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=1e-2,
            seed=seed,
            precision=self.precision,
            workers=self.workers,
        )
