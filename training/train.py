"""One training run: data, Lightning's trainer, evaluation on the held-out split, checkpoint file."""

from __future__ import annotations

import dataclasses
import logging
import platform
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger

from lnlattennet import __version__
from lnlattennet.command import stderr
from lnlattennet.errors import UsageError
from lnlattennet.model.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from lnlattennet.model.config import NetworkConfig
from lnlattennet.model.preprocessing import Preprocessing
from lnlattennet.training.data import SyntheticFaces
from lnlattennet.training.module import ExpressionTraining
from lnlattennet.training.synthetic import EXPRESSIONS

LICENCE = "Trained on faces rendered by this project (Apache-2.0); no photograph was used."
_log = logging.getLogger(__name__)


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


def train(options: TrainingOptions) -> dict[str, Any]:
    """Train, keep the epoch with the best validation accuracy, judge it once, and write it.

    Returns:
        The run's figures: accuracies, epochs, seconds and the output path.

    Raises:
        UsageError: the run's folder and --resume contradict each other.
    """
    last = _resumable(options)
    started = time.perf_counter()
    L.seed_everything(options.seed, workers=True, verbose=False)
    recipe = Preprocessing(size=options.network.image_size)
    info = CheckpointInfo(
        config=options.network, class_names=EXPRESSIONS, preprocessing=recipe, licence=LICENCE
    )
    module = ExpressionTraining(info, learning_rate=options.learning_rate, weight_decay=options.weight_decay)
    data = SyntheticFaces(
        recipe, options.images, batch_size=options.batch_size, seed=options.seed, workers=options.workers
    )
    with _quiet_lightning():
        trainer, best = _trainer(options)
        trainer.fit(module, datamodule=data, ckpt_path=last)
        if trainer.interrupted:
            raise KeyboardInterrupt
        best_weights = load_checkpoint(Path(best.best_model_path), allow_pickle=True).weights
        module.network.load_state_dict(best_weights)
        test = trainer.test(module, datamodule=data, verbose=False)[0]
    figures = {
        "val_accuracy": round(float(best.best_model_score or 0), 4),
        "test_accuracy": round(float(test["test_accuracy"]), 4),
        "epochs": options.epochs,
        "seconds": round(time.perf_counter() - started),
    }
    finished = dataclasses.replace(info, provenance=_provenance(options) | figures)
    save_checkpoint(options.output, module.network, finished)
    return figures | {"checkpoint": str(options.output)}


def _resumable(options: TrainingOptions) -> Path | None:
    last = options.run_folder / "last.ckpt"
    if options.resume and not last.is_file():
        raise UsageError(f"--resume: there is no training checkpoint at {last}")
    if last.is_file() and not options.resume:
        raise UsageError(
            f"{options.run_folder} holds a run already; pass --resume to continue it, or another --run-folder"
        )
    return last if options.resume else None


def _trainer(options: TrainingOptions) -> tuple[L.Trainer, ModelCheckpoint]:
    best = ModelCheckpoint(
        options.run_folder,
        filename="best",
        monitor="val_accuracy",
        mode="max",
        save_last=True,
        enable_version_counter=False,
    )
    progress = [TQDMProgressBar()] if stderr.is_terminal else []
    trainer = L.Trainer(
        max_epochs=options.epochs,
        precision=options.precision,
        callbacks=[best, *progress],
        enable_progress_bar=bool(progress),
        enable_model_summary=False,
        logger=CSVLogger(options.run_folder, name=None, version="log"),
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
        "images": options.images,
        "seed": options.seed,
        "precision": options.precision,
        "lnlattennet": __version__,
        "torch": torch.__version__,
        "lightning": L.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }
