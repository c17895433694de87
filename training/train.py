"""One training run: data, Lightning's trainer, evaluation on the held-out split, checkpoint file."""

from __future__ import annotations

import dataclasses
import json
import logging
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar, Timer
from lightning.pytorch.loggers import CSVLogger

from lnlattennet import __version__
from lnlattennet.atomic import replace_file
from lnlattennet.command import stderr
from lnlattennet.errors import UsageError
from lnlattennet.model.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from lnlattennet.model.config import NetworkConfig
from lnlattennet.model.preprocessing import Preprocessing
from lnlattennet.training.data import SyntheticFaces
from lnlattennet.training.module import ExpressionTraining
from lnlattennet.training.synthetic import EXPRESSIONS

LICENCE = "Trained on faces rendered by this project (Apache-2.0); no photograph was used."


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """One run.

    Attributes:
        output: the `.safetensors` file to write.
        run_folder: Lightning's logs and the training checkpoints that --resume continues.
        resume: continue the run in ``run_folder``.
        network: the network's configuration.
        images: split -> number of faces.
        epochs, batch_size, learning_rate, weight_decay, seed: as their names say.
        precision: Lightning's name: 32-true, or bf16-mixed for CPUs and GPUs with bf16 units.
        workers: processes that render.
        command: the command line, for the checkpoint's provenance.
    """

    output: Path
    run_folder: Path
    resume: bool
    network: NetworkConfig
    images: dict[str, int]
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int
    precision: Literal["32-true", "bf16-mixed"]
    workers: int
    command: tuple[str, ...] = ()

    def settings(self) -> dict[str, Any]:
        """Return what decides the outcome, as plain JSON values."""
        names = ("images", "epochs", "batch_size", "learning_rate", "weight_decay", "seed", "precision")
        return {"network": self.network.to_dict()} | {name: getattr(self, name) for name in names}


def train(options: TrainingOptions) -> dict[str, Any]:
    """Train, keep the epoch with the best validation accuracy, judge it once, and write it.

    Returns:
        The run's figures: accuracies, epochs, seconds of training and the output path.

    Raises:
        UsageError: the run's folder, its settings and --resume contradict each other.
        KeyboardInterrupt: after Ctrl-C; --resume goes on from the last whole epoch.
    """
    last = _resumable(options)
    L.seed_everything(options.seed, workers=True, verbose=False)
    recipe = Preprocessing(size=options.network.image_size)
    info = CheckpointInfo(
        config=options.network, class_names=EXPRESSIONS, preprocessing=recipe, licence=LICENCE
    )
    module = ExpressionTraining(info, learning_rate=options.learning_rate, weight_decay=options.weight_decay)
    data = SyntheticFaces(
        recipe, options.images, batch_size=options.batch_size, seed=options.seed, workers=options.workers
    )
    timer = Timer()
    with _quiet_lightning():
        trainer, best = _trainer(options, timer)
        _fit(trainer, module, data, last)
        best_weights = load_checkpoint(Path(best.best_model_path), allow_pickle=True).weights
        module.network.load_state_dict(best_weights)
        test = trainer.test(module, datamodule=data, verbose=False)[0]
    figures = {
        "val_accuracy": round(float(best.best_model_score or 0), 4),
        "test_accuracy": round(float(test["test_accuracy"]), 4),
        "epochs": options.epochs,
        "training_seconds": round(timer.time_elapsed("train")),
    }
    finished = dataclasses.replace(info, provenance=_provenance(options) | figures)
    save_checkpoint(options.output, module.network, finished)
    return figures | {"checkpoint": str(options.output)}


def _fit(trainer: L.Trainer, module: ExpressionTraining, data: SyntheticFaces, last: Path | None) -> None:
    try:
        trainer.fit(module, datamodule=data, ckpt_path=last)
    except SystemExit as error:
        # Lightning turns Ctrl-C into an exit with code 1; commands of this project end like others.
        if trainer.interrupted:
            raise KeyboardInterrupt from error
        raise


def _resumable(options: TrainingOptions) -> Path | None:
    """Return the checkpoint to go on from, or None; what a run was started with is kept beside it."""
    last = options.run_folder / "last.ckpt"
    started_with = options.run_folder / "settings.json"
    if options.resume and not (last.is_file() and started_with.is_file()):
        raise UsageError(f"--resume: there is no training checkpoint at {last}")
    if last.is_file() and not options.resume:
        raise UsageError(
            f"{options.run_folder} holds a run already; pass --resume to continue it, or another --run-folder"
        )
    settings = options.settings()
    if options.resume:
        _check_same(json.loads(started_with.read_text(encoding="utf-8")), settings)
        return last
    with replace_file(started_with) as draft:
        draft.write_text(json.dumps(settings, indent=2), encoding="utf-8")
    return None


def _check_same(before: dict[str, Any], now: dict[str, Any]) -> None:
    """A run that goes on under other settings would be neither of the two, and its provenance wrong."""
    for name, value in now.items():
        if before.get(name) != value:
            raise UsageError(
                f"--resume: the run was started with {name} {before.get(name)!r}, got {value!r}; "
                "resume with the same settings, or start another run with --run-folder"
            )


def _trainer(options: TrainingOptions, timer: Timer) -> tuple[L.Trainer, ModelCheckpoint]:
    best = ModelCheckpoint(
        options.run_folder,
        filename="best",
        monitor="val_accuracy",
        mode="max",
        enable_version_counter=False,
    )
    # Without a monitor every epoch is kept in turn; `save_last` would keep the last of the best.
    last = ModelCheckpoint(options.run_folder, filename="last", enable_version_counter=False)
    progress = [RichProgressBar(console_kwargs={"stderr": True})] if stderr.is_terminal else []
    trainer = L.Trainer(
        max_epochs=options.epochs,
        precision=options.precision,
        callbacks=[best, last, timer, *progress],
        enable_progress_bar=bool(progress),
        enable_model_summary=False,
        logger=CSVLogger(options.run_folder, name=None, version="resumed" if options.resume else "log"),
        log_every_n_steps=10,
        gradient_clip_val=1.0,
        deterministic="warn",
        reload_dataloaders_every_n_epochs=1,
    )
    return trainer, best


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep advertisements and advice that does not apply here out of the log."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # The data are in memory, so loader workers cannot help.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # It is the run's folder, which holds the log already.
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
        warnings.filterwarnings("ignore", message=".*isinstance\\(treespec, LeafSpec\\).*")
        yield


def _provenance(options: TrainingOptions) -> dict[str, Any]:
    return {
        "command": " ".join(options.command),
        "data": "synthetic",
        "settings": options.settings(),
        "lnlattennet": __version__,
        "torch": torch.__version__,
        "lightning": L.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }
