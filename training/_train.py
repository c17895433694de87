"""Training of one run, or of one run for each fold."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Sequence

import torch

from lnlattennet._atomic import replace_file
from lnlattennet.errors import UsageError
from lnlattennet.training._data import TrainingData, open_training_data
from lnlattennet.training._options import TrainingOptions
from lnlattennet.training._results import CrossValidationResult, TrainingResult, summarize
from lnlattennet.training._run import train_network
from lnlattennet.training._run_folder import LAST, finished_result

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
    partitions = open_training_data(options)
    for data in partitions:
        options.check_steps(len(data.labels["train"]))
    network = dataclasses.replace(options.network, classes=len(partitions[0].class_names))
    options = dataclasses.replace(options, network=network)
    if options.folds is not None and options.fold is None:
        return _cross_validate(options, partitions)
    [data] = partitions
    return train_network(options, data)


def _check_machine(options: TrainingOptions) -> None:
    gpus = torch.cuda.device_count()
    if options.precision == "16-mixed" and not gpus:
        raise UsageError("--precision 16-mixed needs a CUDA GPU; use bf16-mixed or 32-true on a CPU")
    if gpus and options.devices > gpus:
        raise UsageError(f"--devices {options.devices}: this machine has {gpus} GPUs")


def _cross_validate(options: TrainingOptions, folds: Sequence[TrainingData]) -> CrossValidationResult:
    """Train a network for each fold, write each, and the summary `OUTPUT-folds.json`.

    Fold I writes `OUTPUT-foldI.safetensors` and runs in `RUN_FOLDER/foldI`. With ``resume``, folds that ended
    are taken as they are, and one that was interrupted continues.
    """
    if options.resume and not (options.run_folder / "fold0" / "settings.json").is_file():
        raise UsageError(f"--resume: there is no run of all folds in {options.run_folder}")
    results: dict[str, TrainingResult] = {}
    for index, data in enumerate(folds):
        _log.info("%s (%d of %d)", data.name, index + 1, len(folds))
        # None is for helper processes, which the options refuse here.
        if result := _train_fold(options, index, data):
            results[data.name] = result
    protocol = "loso" if options.folds == "loso" else f"{options.folds} folds"
    summary = summarize(results, protocol, folds[0].facts["data"])
    path = options.output.with_name(f"{options.output.stem}-folds.json")
    with replace_file(path) as draft:
        draft.write_text(json.dumps(summary.to_dict(), indent=2) + "\n", encoding="utf-8")
    return dataclasses.replace(summary, summary=str(path))


def _train_fold(options: TrainingOptions, index: int, data: TrainingData) -> TrainingResult | None:
    folder, output = options.run_folder / f"fold{index}", options.output
    fold = dataclasses.replace(
        options,
        fold=index,
        output=output.with_name(f"{output.stem}-fold{index}{output.suffix}"),
        run_folder=folder,
        resume=options.resume and (folder / LAST).is_file(),
    )
    # Without its checkpoint a fold that ended is evaluated and written again.
    ended = options.resume and fold.output.is_file()
    return (finished_result(fold, data.fingerprint) if ended else None) or train_network(fold, data)
