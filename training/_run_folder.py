"""Folder of a training run: its settings, its training checkpoint, and its result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lnlattennet._atomic import replace_file
from lnlattennet.errors import UsageError
from lnlattennet.training._options import TrainingOptions
from lnlattennet.training._results import TrainingResult

LAST = "last.ckpt"
REGION_WEIGHTS = "region_weights.csv"
_SETTINGS = "settings.json"
_FIGURES = "figures.json"
_FINGERPRINT = "fingerprint"


def resumable(options: TrainingOptions, fingerprint: str) -> Path | None:
    """Return the checkpoint to continue from, or None for a new run, whose settings are then written.

    Args:
        options: options of the run.
        fingerprint: digest of its faces, labels and splits.

    Raises:
        UsageError: the folder, the settings, the faces and --resume contradict each other.
    """
    last = options.run_folder / LAST
    started_with = options.run_folder / _SETTINGS
    if options.resume and not (last.is_file() and started_with.is_file()):
        raise UsageError(f"--resume: there is no training checkpoint at {last}")
    if last.is_file() and not options.resume:
        raise UsageError(
            f"{options.run_folder} holds a run already; pass --resume to continue it, or another --run-folder"
        )
    settings = options.settings() | {_FINGERPRINT: fingerprint}
    if options.resume:
        _check_same(json.loads(started_with.read_text(encoding="utf-8")), settings)
        return last
    _write(started_with, settings)
    return None


def finished_result(options: TrainingOptions, fingerprint: str) -> TrainingResult | None:
    """Return the result of a run that ended with these options; None if there is none.

    Raises:
        UsageError: the run was started with other options or faces.
    """
    path = options.run_folder / _FIGURES
    if not path.is_file():
        return None
    started_with = json.loads((options.run_folder / _SETTINGS).read_text(encoding="utf-8"))
    _check_same(started_with, options.settings() | {_FINGERPRINT: fingerprint})
    return TrainingResult(**json.loads(path.read_text(encoding="utf-8")))


def write_result(run_folder: Path, result: TrainingResult) -> None:
    """Write the result of a run into its folder."""
    _write(run_folder / _FIGURES, result.to_dict())


def _check_same(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise a UsageError if a setting differs: the provenance would be wrong."""
    for name, value in now.items():
        if before.get(name) == value:
            continue
        if name == _FINGERPRINT:
            raise UsageError(
                "--resume: the data set has changed since the run was started: faces were added, removed, "
                "labeled or split anew, and some that were learned would be evaluated; start another run "
                "with --run-folder"
            )
        raise UsageError(
            f"--resume: the run was started with {name} {before.get(name)!r}, got {value!r}; "
            "resume with the same settings, or start another run with --run-folder"
        )


def _write(path: Path, document: dict[str, Any]) -> None:
    with replace_file(path) as draft:
        draft.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
