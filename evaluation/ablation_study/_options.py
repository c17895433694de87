"""Options of an ablation study: everything that decides its figures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lnlattennet.errors import UsageError
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._presets import from_preset
from lnlattennet.training._options import Precision, TrainingOptions
from lnlattennet.training._recipes import Recipe


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """Options of a study on rendered faces: smaller than the demo's, for an hour of 18 trainings, not a day.

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


@dataclass(frozen=True, kw_only=True)
class DataSetStudyOptions:
    """Options of a study on a data set, trained by a recipe of `lnlattennet train`.

    Attributes:
        seeds: one training of every ablation each.
        data: folder or file of the data set.
        recipe: options of every training; the last epoch is evaluated.
        epochs: epochs of every training; None for the recipe's.
        workers: number of threads that read faces.

    Raises:
        UsageError: the recipe has an option that a study cannot use.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    data: Path
    recipe: Recipe
    epochs: int | None = None
    workers: int = 2

    def __post_init__(self) -> None:
        known = {field.name for field in dataclasses.fields(TrainingOptions)}
        unusable = {"folds", "fold", "images", "init"}
        unknown = sorted(set(self._recipe_values()) - (known - unusable))
        if unknown:
            raise UsageError(f"--recipe {self.recipe.name}: a study has no option {unknown[0]!r}")
        self.training(0, Path()).check()

    @property
    def network(self) -> NetworkConfig:
        """Configuration of the full network; its class count is replaced by the data's."""
        chosen = self.recipe.values.get("network", {})
        return from_preset({"preset": chosen} if isinstance(chosen, str) else chosen)

    def settings(self) -> dict[str, Any]:
        """Return what decides a run's figures, as plain JSON values."""
        settings = self.training(0, Path()).settings() | {"recipe": self.recipe.name}
        return {name: value for name, value in settings.items() if name not in ("seed", "images")}

    def training(self, seed: int, folder: Path) -> TrainingOptions:
        """Return the options of one training, whose logs go to ``folder``."""
        # The defaults of `lnlattennet train`.
        values: dict[str, Any] = {"batch_size": 64, "learning_rate": 2e-3, "weight_decay": 1e-2, "epochs": 10}
        values |= self._recipe_values()
        fixed = {
            "epochs": values["epochs"] if self.epochs is None else self.epochs,
            "output": folder / "unused.safetensors",
            "run_folder": folder,
            "network": self.network,
            "data": str(self.data),
            "seed": seed,
            "workers": self.workers,
        }
        return TrainingOptions(**(values | fixed))

    def _recipe_values(self) -> dict[str, Any]:
        fields = {option: option.replace("-", "_") for option in self.recipe.values}
        fields["finder"] = "face_finder"
        return {fields[option]: value for option, value in self.recipe.values.items()}
