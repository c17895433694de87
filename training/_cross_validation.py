"""Every fold trained one after another, and what they say together."""

from __future__ import annotations

import dataclasses
import json
import logging
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lnlattennet._atomic import replace_file
from lnlattennet.errors import UsageError
from lnlattennet.training._options import TrainingOptions
from lnlattennet.training._run_folder import LAST, finished_figures
from lnlattennet.training._sources import Source

_log = logging.getLogger(__name__)

TrainOne = Callable[[TrainingOptions, Source], dict[str, Any]]


def cross_validate(
    options: TrainingOptions, sources: Sequence[Source], train_one: TrainOne
) -> dict[str, Any]:
    """Train a network for each fold, write each and a summary, `OUTPUT-folds.json`.

    Args:
        options: of the whole; fold I writes `OUTPUT-foldI.safetensors` and runs in `RUN_FOLDER/foldI`. With
            ``resume``, folds that ended are taken as they are, and one that was interrupted goes on.
        sources: one for each fold.
        train_one: trains one fold and returns its figures.

    Returns:
        The summary (see ``summarize``) and where it lies.
    """
    if options.resume and not (options.run_folder / "fold0" / "settings.json").is_file():
        raise UsageError(f"--resume: there is no run of all folds in {options.run_folder}")
    figures = []
    for index, source in enumerate(sources):
        _log.info("%s (%d of %d)", source.name, index + 1, len(sources))
        figures.append({"name": source.name} | _train_fold(options, index, source, train_one))
    summary = {
        "protocol": "loso" if options.folds == "loso" else f"{options.folds} folds",
        "data": sources[0].facts["data"],
    } | summarize(figures)
    path = options.output.with_name(f"{options.output.stem}-folds.json")
    with replace_file(path) as draft:
        draft.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary | {"summary": str(path)}


def summarize(figures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return mean, sample standard deviation and pooled accuracy of the folds' test faces, and the folds."""
    accuracies = [fold["judged_right"] / fold["judged_faces"] for fold in figures]
    right, faces = (sum(fold[name] for fold in figures) for name in ("judged_right", "judged_faces"))
    return {
        "mean_accuracy": round(statistics.mean(accuracies), 4),
        "standard_deviation": round(statistics.stdev(accuracies), 4),
        "pooled_accuracy": round(right / faces, 4),
        "faces": faces,
        "folds": list(figures),
    }


def _train_fold(options: TrainingOptions, index: int, source: Source, train_one: TrainOne) -> dict[str, Any]:
    folder = options.run_folder / f"fold{index}"
    fold = dataclasses.replace(
        options,
        fold=index,
        output=_fold_output(options.output, index),
        run_folder=folder,
        resume=options.resume and (folder / LAST).is_file(),
    )
    # Without its checkpoint a fold that ended is judged and written again.
    ended = None
    if options.resume and fold.output.is_file():
        ended = finished_figures(fold, source.fingerprint)
    return ended or train_one(fold, source)


def _fold_output(output: Path, index: int) -> Path:
    return output.with_name(f"{output.stem}-fold{index}{output.suffix}")
