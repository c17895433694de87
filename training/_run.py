"""One training run: Lightning's trainer, evaluation of the best epoch, checkpoint file."""

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

from lnlattennet._version import __version__
from lnlattennet.errors import LnlAttenNetError
from lnlattennet.model._checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.training._data import TrainingData
from lnlattennet.training._datamodule import FaceBatches
from lnlattennet.training._dataset import class_weights
from lnlattennet.training._module import ExpressionTraining
from lnlattennet.training._options import TrainingOptions
from lnlattennet.training._results import TrainingResult, evaluate_best_epoch
from lnlattennet.training._run_folder import LAST, resumable, write_result
from lnlattennet.training._trainer import Run, build_run, quiet_lightning

_log = logging.getLogger(__name__)


def train_network(options: TrainingOptions, data: TrainingData) -> TrainingResult | None:
    """Train on ``data``, evaluate the epoch with the best validation accuracy, and write its checkpoint.

    Returns:
        The figures; None in the processes that only help the first (`--devices`, `--nodes`).

    Raises:
        UsageError: the run's folder and --resume contradict each other.
        ImageError: an image cannot be read; nothing has been trained yet.
        KeyboardInterrupt: after Ctrl-C; --resume continues after the last complete epoch.
    """
    last = resumable(options, data.fingerprint)
    L.seed_everything(options.seed, workers=True, verbose=False)
    info = CheckpointInfo(
        config=options.network,
        class_names=data.class_names,
        preprocessing=Preprocessing(size=options.network.image_size),
        license=data.license,
    )
    weights = None
    if options.balance == "loss":
        weights = class_weights(data.labels["train"], len(data.class_names))
    module = ExpressionTraining(info, options, weights)
    batches = FaceBatches(data, info.preprocessing, options)
    with quiet_lightning():
        run = build_run(options)
        try:
            _fit(run.trainer, module, batches, last)
            if not run.trainer.is_global_zero:
                return None
            return _finish(options, info, run, batches)
        finally:
            if run.trainer.local_rank == 0:
                batches.remove_files()


def _fit(trainer: L.Trainer, module: ExpressionTraining, batches: FaceBatches, last: Path | None) -> None:
    try:
        trainer.fit(module, datamodule=batches, ckpt_path=last)
    except SystemExit as error:
        # Lightning turns Ctrl-C into an exit with code 1; commands of this project end like others.
        if trainer.interrupted:
            if trainer.is_global_zero and (batches.options.run_folder / LAST).is_file():
                _log.warning("interrupted; the same command with --resume continues after the last epoch")
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


def _finish(options: TrainingOptions, info: CheckpointInfo, run: Run, batches: FaceBatches) -> TrainingResult:
    """Evaluate the best epoch's weights and write them with everything that is known about them."""
    network = load_checkpoint(Path(run.best.best_model_path), allow_pickle=True).network()
    seconds = run.timer.time_elapsed("train")
    result = evaluate_best_epoch(
        network, batches, run.trainer.strategy.root_device, run.trainer.current_epoch, seconds
    )
    provenance = batches.data.facts | _provenance(options) | result.to_dict()
    save_checkpoint(options.output, network, dataclasses.replace(info, provenance=provenance))
    result = dataclasses.replace(result, checkpoint=str(options.output))
    write_result(options.run_folder, result)
    return result


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
