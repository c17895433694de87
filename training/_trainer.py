"""Lightning's trainer for one run: devices, callbacks, logs."""

from __future__ import annotations

import csv
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import (
    EarlyStopping,
    ModelCheckpoint,
    RichProgressBar,
    Timer,
    WeightAveraging,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor

from lnlattennet._atomic import replace_file
from lnlattennet._console import shows_progress
from lnlattennet.training._checkpoint_io import AtomicCheckpointIO
from lnlattennet.training._module import REGION_METRIC
from lnlattennet.training._options import TrainingOptions
from lnlattennet.training._run_folder import REGION_WEIGHTS

_MONITOR = "val_accuracy"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """Trainer, and the callbacks that are read after training."""

    trainer: L.Trainer
    best: ModelCheckpoint
    timer: Timer


class RegionHistory(L.Callback):
    """Mean weight of each region over the validation faces, a row per epoch, for `lnlattennet explain`.

    Columns: ``step`` (of the optimizer), ``region_0`` .. ``region_{K-1}``. The rows are part of the training
    checkpoint, under the name of this class, so that a resumed run continues the file.
    """

    def __init__(self, path: Path, regions: int) -> None:
        self.path = path
        self.regions = regions
        self.rows: list[list[float]] = []

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # The trial batches before training make no row.
        if trainer.sanity_checking:
            return
        weights = [float(trainer.callback_metrics[f"{REGION_METRIC}{k}"]) for k in range(self.regions)]
        self.rows.append([trainer.global_step, *weights])
        if trainer.is_global_zero:
            self._write()

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = [list(row) for row in state_dict["rows"]]

    def _write(self) -> None:
        with replace_file(self.path) as draft, draft.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["step", *(f"region_{k}" for k in range(self.regions))])
            writer.writerows([step, *(f"{weight:.6f}" for weight in weights)] for step, *weights in self.rows)


class _Kept(ModelCheckpoint):
    """Training checkpoints of the run's folder, also after the folder was moved or renamed."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def here(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else path

        moved = {name: here(state_dict[name]) for name in state_dict if name.endswith("_model_path")}
        kept = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(state_dict | moved | {"dirpath": self.dirpath, "best_k_models": kept})


class _Patience(EarlyStopping):
    """Early stopping that also holds for a run that had ended already and is resumed.

    Where ``--epochs`` was raised on it, after ``first_epoch``, its patience begins anew.
    """

    def __init__(self, patience: int, first_epoch: int) -> None:
        super().__init__(_MONITOR, patience=patience, mode="max")
        self.first_epoch = first_epoch

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == self.first_epoch:
            self.wait_count = 0
        trainer.should_stop = self.wait_count >= self.patience


class _EpochLine(L.Callback):
    """A line of the log after every epoch, for runs whose progress nobody sees: in a log, a job, CI."""

    def __init__(self) -> None:
        self._began = 0.0
        self._losses: list[Tensor] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._began = time.monotonic()
        self._losses.clear()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._losses.append(outputs["loss"].detach())

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        done, total = trainer.current_epoch + 1, int(trainer.max_epochs or 0)
        seconds = time.monotonic() - self._began
        _log.info(
            "epoch %d of %d: training loss %.4f, validation accuracy %.1f%%, %.0f s, at most %s more",
            done,
            total,
            float(torch.stack(self._losses).mean()),
            100 * float(trainer.callback_metrics[_MONITOR]),
            seconds,
            timedelta(seconds=round(seconds * (total - done))),
        )


class _ProgressBar(RichProgressBar):
    """Lightning's bar, with epochs counted from 1 and without the ends of the log folders' names."""

    def __init__(self) -> None:
        super().__init__(console_kwargs={"stderr": True})

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics

    def _get_train_description(self, current_epoch: int) -> str:
        text = f"Epoch {current_epoch + 1}/{self.trainer.max_epochs}"
        # As long as "Validation", or the line would flicker.
        return f"{text:{len(self.validation_description)}}"


def build_run(options: TrainingOptions) -> Run:
    """Return a trainer that keeps the epoch with the best validation accuracy, and the last one."""
    folder, timer = options.run_folder, Timer()
    best = _Kept(folder, filename="best", monitor=_MONITOR, mode="max", enable_version_counter=False)
    # Without a monitor every epoch is kept in turn; `save_last` would keep the last of the best.
    last = _Kept(folder, filename="last", enable_version_counter=False)
    progress = _ProgressBar() if shows_progress() else _EpochLine()
    history = RegionHistory(folder / REGION_WEIGHTS, options.network.regions)
    trainer = L.Trainer(
        max_epochs=options.epochs,
        precision=options.precision,
        devices=options.devices,
        num_nodes=options.nodes,
        plugins=[AtomicCheckpointIO()],
        callbacks=[best, last, timer, history, progress, *_chosen_callbacks(options)],
        enable_progress_bar=shows_progress(),
        enable_model_summary=False,
        logger=[
            CSVLogger(folder, name=None, version=_log_name(folder)),
            TensorBoardLogger(folder, name=None, version="tensorboard"),
        ],
        log_every_n_steps=10,
        gradient_clip_val=1.0,
        deterministic="warn",
        reload_dataloaders_every_n_epochs=1,
    )
    return Run(trainer, best, timer)


def _log_name(folder: Path) -> str:
    """Return log, or for a run that goes on log-2, log-3, ...: the logger begins its file anew."""
    before = len(list(folder.glob("log*/metrics.csv")))
    return f"log-{before + 1}" if before else "log"


def _chosen_callbacks(options: TrainingOptions) -> list[L.Callback]:
    chosen: list[L.Callback] = []
    if options.ema is not None:
        chosen.append(WeightAveraging(avg_fn=_moving_average(options.ema)))
    if options.patience is not None:
        chosen.append(_Patience(options.patience, options.first_epoch))
    return chosen


def _moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return how an average takes up weights: it looks back a ninth of the steps, at most 1 / (1 - decay).

    With the decay from the first step on, the average of a short training, and of the first epochs of a long
    one, would mostly be the initial weights. Source: TensorFlow, `tf.train.ExponentialMovingAverage`.
    """

    def updated(average: Tensor, weights: Tensor, steps: Tensor) -> Tensor:
        kept = ((1 + steps) / (10 + steps)).clamp(max=decay)
        return kept * average + (1 - kept) * weights

    return updated


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's messages that do not apply to this project."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # The data are in memory, so loader workers cannot help.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # A short epoch's loss is logged less often; its accuracy is not.
        warnings.filterwarnings("ignore", message="The number of training batches")
        # The figures at the end are of every face once; those during training only choose the epoch.
        warnings.filterwarnings("ignore", message="Using `DistributedSampler` with the dataloaders")
        # It is the run's folder, which holds the log already.
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
        warnings.filterwarnings("ignore", message="Experiment logs directory .* exists and is not empty")
        warnings.filterwarnings("ignore", message=".*isinstance\\(treespec, LeafSpec\\).*")
        yield
