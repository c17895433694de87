"""One training run: data, Lightning's trainer, evaluation of the best epoch, checkpoint file."""

from __future__ import annotations

import dataclasses
import logging
import platform
from pathlib import Path
from typing import Any

import cv2
import lightning as L
import numpy as np
import PIL
import torch

from lnlattennet import __version__
from lnlattennet.errors import LnlAttenNetError, UsageError
from lnlattennet.model._checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.training._cross_validation import cross_validate
from lnlattennet.training._datamodule import FaceBatches
from lnlattennet.training._dataset import class_weights
from lnlattennet.training._judging import judge
from lnlattennet.training._module import ExpressionTraining
from lnlattennet.training._options import TrainingOptions
from lnlattennet.training._run_folder import LAST, resumable, write_figures
from lnlattennet.training._sources import Source, open_sources
from lnlattennet.training._trainer import Run, build_run, quiet_lightning

_log = logging.getLogger(__name__)


def train(options: TrainingOptions) -> dict[str, Any]:
    """Train, keep the epoch with the best validation accuracy, judge it once, and write it.

    Returns:
        The run's figures: accuracies, epochs, seconds of training and the output path; of all folds, their
        summary. Empty in the processes that only help the first (`--devices`, `--nodes`).

    Raises:
        UsageError: the options contradict each other, the data or the run's folder.
        DataError: the data set cannot be used in this way.
        ImageError: an image cannot be read; nothing has been trained yet.
        KeyboardInterrupt: after Ctrl-C; --resume goes on from the last whole epoch.
    """
    options.check()
    _check_machine(options)
    sources = open_sources(options)
    for source in sources:
        options.check_steps(len(source.labels["train"]))
    network = dataclasses.replace(options.network, classes=len(sources[0].class_names))
    options = dataclasses.replace(options, network=network)
    if options.folds is not None and options.fold is None:
        return cross_validate(options, sources, train_one)
    [source] = sources
    return train_one(options, source)


def _check_machine(options: TrainingOptions) -> None:
    gpus = torch.cuda.device_count()
    if options.precision == "16-mixed" and not gpus:
        raise UsageError("--precision 16-mixed needs a CUDA GPU; use bf16-mixed or 32-true on a CPU")
    if gpus and options.devices > gpus:
        raise UsageError(f"--devices {options.devices}: this machine has {gpus} GPUs")


def train_one(options: TrainingOptions, source: Source) -> dict[str, Any]:
    """Train on one source; see ``train``."""
    last = resumable(options, source.fingerprint)
    L.seed_everything(options.seed, workers=True, verbose=False)
    recipe = Preprocessing(size=options.network.image_size)
    info = CheckpointInfo(
        config=options.network,
        class_names=source.class_names,
        preprocessing=recipe,
        license=source.license,
    )
    weights = None
    if options.balance == "loss":
        weights = class_weights(source.labels["train"], len(source.class_names))
    module = ExpressionTraining(info, options, weights)
    data = FaceBatches(source, recipe, options)
    with quiet_lightning():
        run = build_run(options)
        try:
            _fit(run.trainer, module, data, last)
            if not run.trainer.is_global_zero:
                return {}
            return _finish(options, info, run, data)
        finally:
            if run.trainer.local_rank == 0:
                data.remove_files()


def _fit(trainer: L.Trainer, module: ExpressionTraining, data: FaceBatches, last: Path | None) -> None:
    try:
        trainer.fit(module, datamodule=data, ckpt_path=last)
    except SystemExit as error:
        # Lightning turns Ctrl-C into an exit with code 1; commands of this project end like others.
        if trainer.interrupted:
            if trainer.is_global_zero and (data.options.run_folder / LAST).is_file():
                _log.warning("interrupted; the same command with --resume goes on after the last whole epoch")
            raise KeyboardInterrupt from error
        raise
    except RuntimeError as error:
        # gloo's has no type of its own.
        if isinstance(error, torch.distributed.DistError) or "Connection closed by peer" in str(error):
            raise LnlAttenNetError(
                f"process {trainer.global_rank} of this training ends because another one did; its message, "
                "if it left one, says why"
            ) from error
        raise


def _finish(options: TrainingOptions, info: CheckpointInfo, run: Run, data: FaceBatches) -> dict[str, Any]:
    """Judge the best epoch's weights and write them with everything that is known about them."""
    network = load_checkpoint(Path(run.best.best_model_path), allow_pickle=True).network()
    figures = judge(network, data, run.trainer.strategy.root_device) | {
        "epochs": run.trainer.current_epoch,
        "training_seconds": round(run.timer.time_elapsed("train")),
    }
    provenance = data.source.facts | _provenance(options) | figures
    save_checkpoint(options.output, network, dataclasses.replace(info, provenance=provenance))
    figures |= {"checkpoint": str(options.output)}
    write_figures(options.run_folder, figures)
    return figures


def _provenance(options: TrainingOptions) -> dict[str, Any]:
    return {
        "command": " ".join(options.command),
        "settings": options.settings(),
        "lnlattennet": __version__,
        "torch": torch.__version__,
        "lightning": L.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }
