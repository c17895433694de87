"""Training with Lightning: one run, or one for each fold, up to the checkpoint file."""

from __future__ import annotations

import dataclasses
import json
import logging
import platform
import re
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import lightning as L
import numpy as np
import PIL
import torch

from lnlattennet._atomic import replace_file
from lnlattennet._command import printable
from lnlattennet._interrupt import caused_by_interrupt
from lnlattennet._version import __version__
from lnlattennet.errors import LnlAttenNetError, UsageError
from lnlattennet.machine._hardware import cpu_flags
from lnlattennet.model._checkpoint import Checkpoint, CheckpointInfo, load_checkpoint, save_checkpoint
from lnlattennet.training._data import TrainingData, open_training_data
from lnlattennet.training._datamodule import FaceBatches
from lnlattennet.training._dataset import class_weights
from lnlattennet.training._initial_weights import start_from
from lnlattennet.training._module import ExpressionTraining
from lnlattennet.training._options import TrainingOptions, is_helper
from lnlattennet.training._results import (
    CrossValidationResult,
    TrainingResult,
    evaluate_best_epoch,
    summarize,
)
from lnlattennet.training._run_folder import (
    LAST,
    begin,
    check_output,
    finished_result,
    has_begun,
    is_unused,
    sole_run,
    start_of,
    write_result,
    wrote_output,
)
from lnlattennet.training._teachers import Teachers, load_teachers
from lnlattennet.training._trainer import Run, build_run, quiet_lightning

_BF16_UNITS = ("avx512_bf16", "bf16")
"""Flags of /proc/cpuinfo for instructions that compute in bf16: of x86, of ARM."""

_log = logging.getLogger(__name__)


def train(options: TrainingOptions) -> TrainingResult | CrossValidationResult | None:
    """Train, keep the epoch with the best validation accuracy, evaluate it once, and write it.

    Returns:
        The figures of the run, or of all folds; None in the processes that only help the first (`--devices`,
        `--nodes`).

    Raises:
        UsageError: the options contradict each other, the data or the run's folder.
        DataError: the data set cannot be used in this way.
        ImageError: an image cannot be read; nothing has been trained yet.
        KeyboardInterrupt: after Ctrl-C; --resume continues after the last complete epoch.
    """
    options.check()
    _check_machine(options)
    if options.resume and is_unused(options.run_folder):
        _log.info("--resume: there is no run in %s yet, so it starts", printable(options.run_folder))
        options = dataclasses.replace(options, resume=False)
    partitions = open_training_data(options)
    for data in partitions:
        options.check_steps(len(data.labels["train"]))
    network = dataclasses.replace(options.network, classes=len(partitions[0].class_names))
    options = dataclasses.replace(options, network=network)
    if options.folds is not None and options.fold is None:
        return _cross_validate(options, partitions)
    [data] = partitions
    return _train_one(options, data)


def _check_machine(options: TrainingOptions) -> None:
    gpus = torch.cuda.device_count()
    if options.precision == "16-mixed" and not gpus:
        raise UsageError("--precision 16-mixed needs a CUDA GPU; use bf16-mixed or 32-true on a CPU")
    if gpus and options.devices > gpus:
        raise UsageError(f"--devices {options.devices}: this machine has {gpus} GPUs")
    emulated = options.precision == "bf16-mixed" and not gpus and not cpu_flags().intersection(_BF16_UNITS)
    if emulated and not is_helper():
        _log.warning(
            "--precision bf16-mixed: this CPU has no bf16 instructions, and without them a step can take ten "
            "times as long; give --precision 32-true"
        )


def _cross_validate(options: TrainingOptions, folds: Sequence[TrainingData]) -> CrossValidationResult:
    """Train a network for each fold, write each, and the summary `OUTPUT-folds.json`.

    Fold I writes `OUTPUT-foldI.safetensors` and runs in `RUN_FOLDER/foldI`. With ``resume``, folds that ended
    are taken as they are, and one that was interrupted continues.
    """
    chosen = [_fold_options(options, index) for index in range(len(folds))]
    if options.resume and not chosen[0].resume:
        raise UsageError(f"--resume: there is no run of all folds in {options.run_folder}")
    results: dict[str, TrainingResult] = {}
    path = options.output.with_name(f"{options.output.stem}-folds.json")
    _check_outputs(chosen, path)
    for index, data in enumerate(folds):
        _log.info("%s (%d of %d)", data.name, index + 1, len(folds))
        # None is for helper processes, which the options refuse here.
        if figures := _train_fold(chosen[index], data):
            results[data.name] = figures
    protocol = "loso" if options.folds == "loso" else f"{options.folds} folds"
    result = summarize(results, protocol, folds[0].facts["data"])
    with replace_file(path) as draft:
        draft.write_text(json.dumps(result.to_dict(), indent=2) + "\n", encoding="utf-8")
    return dataclasses.replace(result, summary=str(path))


def _check_outputs(folds: Sequence[TrainingOptions], summary: Path) -> None:
    """Raise a UsageError if a fold's output or the summary exists, and is not this run's own."""
    for fold in folds:
        check_output(fold)
    # No file tells whose the summary is: it lies beside the outputs of the run that wrote it.
    own = wrote_output(folds[0])
    check_output(dataclasses.replace(folds[0], output=summary, force=folds[0].force or own))


def _fold_options(options: TrainingOptions, index: int) -> TrainingOptions:
    folder, output = options.run_folder / f"fold{index}", options.output
    return dataclasses.replace(
        options,
        fold=index,
        output=output.with_name(f"{output.stem}-fold{index}{output.suffix}"),
        run_folder=folder,
        resume=options.resume and has_begun(folder),
    )


def _train_fold(fold: TrainingOptions, data: TrainingData) -> TrainingResult | None:
    # Without its checkpoint a fold that ended is evaluated and written again.
    ended = wrote_output(fold) and fold.output.is_file()
    return (finished_result(fold, data.fingerprint) if ended else None) or _train_one(fold, data)


def _train_one(options: TrainingOptions, data: TrainingData) -> TrainingResult | None:
    """Train on ``data`` as the only run in its folder; None in a helper process."""
    # A helper's run is that of the process that it helps.
    with nullcontext() if is_helper() else sole_run(options.run_folder):
        return _run(options, data)


def _run(options: TrainingOptions, data: TrainingData) -> TrainingResult | None:
    """Train on ``data``, evaluate the best epoch, and write its checkpoint; None in a helper process."""
    start = start_of(options, data.fingerprint, len(data.labels["train"]))
    options = dataclasses.replace(options, first_epoch=start.first_epoch)
    L.seed_everything(options.seed, workers=True, verbose=False)
    info = CheckpointInfo(
        config=options.network,
        class_names=data.class_names,
        preprocessing=data.preprocessing,
        # Not at the end: by then the files of init and teachers may be others, or gone.
        provenance=data.facts | _provenance(options),
        license=data.license,
    )
    taught = load_teachers(options.teachers, data.class_names, info.preprocessing)
    teachers = Teachers(taught, data.class_names) if taught else None
    module = ExpressionTraining(info, options, loss_weights(options, data), teachers)
    # A run that goes on overwrites them; what it started from is still checked and told.
    initial = [start_from(options.init, module.network, data.class_names)] if options.init else []
    info = module.info = dataclasses.replace(info, license=_inherited(data, [*initial, *taught]))
    # Not before: another checkpoint's classes or network refuse the run.
    begin(options, start)
    batches = FaceBatches(data, info.preprocessing, options)
    with quiet_lightning():
        run = build_run(options)
        try:
            _fit(run.trainer, module, batches, start.checkpoint)
            if not run.trainer.is_global_zero:
                return None
            return _finish(options, info, run, batches)
        finally:
            if run.trainer.local_rank == 0:
                batches.remove_files()


def _inherited(data: TrainingData, learned_from: Sequence[Checkpoint]) -> str:
    """Return the note on the data's license, and those of the checkpoints that the training learned from."""
    license_note = data.license
    for checkpoint in learned_from:
        if (note := checkpoint.info.license) and note not in license_note:
            license_note += f" The training used other weights: {note}"
    return license_note


def loss_weights(options: TrainingOptions, data: TrainingData) -> torch.Tensor | None:
    """Return the weights of the classes in the loss [classes]; None for equal ones."""
    if options.balance != "loss":
        return None
    return class_weights(data.training_targets, len(data.class_names))


def _fit(trainer: L.Trainer, module: ExpressionTraining, batches: FaceBatches, last: Path | None) -> None:
    try:
        trainer.fit(module, datamodule=batches, ckpt_path=last)
    except (KeyboardInterrupt, SystemExit, Exception) as error:
        # Lightning turns Ctrl-C into an exit with code 1, a loading C extension into an ImportError; commands
        # of this project end alike.
        if caused_by_interrupt(error):
            if trainer.is_global_zero and (batches.options.run_folder / LAST).is_file():
                _log.warning("the same command with --resume continues after the last epoch")
            raise KeyboardInterrupt from error
        # gloo's has no type of its own.
        if isinstance(error, torch.distributed.DistError) or "Connection closed by peer" in str(error):
            raise LnlAttenNetError(
                f"process {trainer.global_rank} of this training ends because another one did; its message, "
                "if it left one, says why"
            ) from error
        raise


def _finish(options: TrainingOptions, info: CheckpointInfo, run: Run, batches: FaceBatches) -> TrainingResult:
    """Evaluate the best epoch's weights and write the checkpoint with its provenance."""
    network = load_checkpoint(Path(run.best.best_model_path), allow_pickle=True).network()
    seconds = run.timer.time_elapsed("train")
    result = evaluate_best_epoch(
        network, batches, run.trainer.strategy.root_device, run.trainer.current_epoch, seconds
    )
    preparation = batches.data.preparation
    made = {} if preparation is None else {"preparation": preparation.to_dict()}
    provenance = info.provenance | made | result.to_dict()
    save_checkpoint(options.output, network, dataclasses.replace(info, provenance=provenance))
    result = dataclasses.replace(result, checkpoint=str(options.output))
    write_result(options.run_folder, result)
    return result


def _without_folder(word: str) -> str:
    """Return a word of the command line; an absolute path by its name: nobody else has its folder."""
    return re.sub(r"^(-\w|--[\w-]+=)?/(.*/)?(?=[^/])", r"\1", word)


def _provenance(options: TrainingOptions) -> dict[str, Any]:
    recipe = {"recipe": options.recipe} if options.recipe else {}
    return recipe | {
        "command": " ".join(map(_without_folder, options.command)),
        "settings": options.settings(),
        **({"first_epoch": options.first_epoch} if options.first_epoch else {}),
        "lnlattennet": __version__,
        "torch": torch.__version__,
        "lightning": L.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }
