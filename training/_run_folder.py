"""Folder of a training run: its settings, its training checkpoint, and its result."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lnlattennet._atomic import file_lock, replace_file
from lnlattennet._command import printable
from lnlattennet.errors import UsageError
from lnlattennet.training._options import TrainingOptions
from lnlattennet.training._results import TrainingResult

LAST = "last.ckpt"
REGION_WEIGHTS = "region_weights.csv"
_SETTINGS = "settings.json"
_FIGURES = "figures.json"
_FINGERPRINT = "fingerprint"
_FIRST_EPOCH = "first_epoch"
_OUTPUT = "output"
_LOCK = ".lock"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Start:
    """Where a run begins.

    Attributes:
        checkpoint: the training checkpoint to continue; None for random weights, or those of ``init``.
        settings: what the run's folder is to hold of its settings.
        first_epoch: epochs after which ``--epochs`` was raised on a finished run; 0 for never.
    """

    checkpoint: Path | None
    settings: dict[str, Any]
    first_epoch: int = 0


@contextmanager
def sole_run(run_folder: Path) -> Iterator[None]:
    """Lock a run's folder against other runs. It is made if need be, and removed if the run wrote nothing.

    The system frees the lock when its holder dies, however it dies.

    Raises:
        UsageError: another process trains there.
    """
    made = [folder for folder in (run_folder, *run_folder.parents) if not folder.exists()]
    run_folder.mkdir(parents=True, exist_ok=True)
    lock = run_folder / _LOCK

    def refuse() -> None:
        raise UsageError(
            f"another process trains in {printable(run_folder)}; let it end, or choose another --run-folder"
        )

    with file_lock(lock, refuse):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
            with suppress(OSError):  # The first that is not empty ends it.
                for folder in made:
                    folder.rmdir()


def start_of(options: TrainingOptions, fingerprint: str, faces: int) -> Start:
    """Return where to begin; nothing is written.

    Args:
        options: options of the run.
        fingerprint: digest of its faces, labels and splits.
        faces: number of its training faces.

    Raises:
        UsageError: the folder, the settings, the faces and --resume contradict each other, or the output
            exists.
    """
    last = options.run_folder / LAST
    settings = options.settings() | {_FINGERPRINT: fingerprint}
    known: dict[str, Any] = {_OUTPUT: printable(options.output.resolve())}
    if not options.resume:
        if last.is_file():
            raise UsageError(
                f"{options.run_folder} holds a run already; pass --resume to continue it, or another "
                "--run-folder"
            )
        check_output(options)
        return Start(None, settings | known)
    if not has_begun(options.run_folder):
        raise UsageError(
            f"--resume: {printable(options.run_folder)} has files and no {_SETTINGS} of a run; choose "
            "another --run-folder"
        )
    check_output(options)
    before = _read(options.run_folder / _SETTINGS)
    if _is_longer(options, before):
        ended_after = _read(options.run_folder / _FIGURES)["epochs"]
        known |= {"epochs": options.epochs, _FIRST_EPOCH: ended_after}
        added = replace(options, first_epoch=known[_FIRST_EPOCH])
        added.check()
        added.check_steps(faces)
        _log.info("the run ended after %d epochs; --epochs %d goes on", ended_after, options.epochs)
    known = before | known
    _check_same(known, settings)
    if not last.is_file():
        _log.info("--resume: the run was stopped in its first epoch, so it starts anew")
        return Start(None, known)
    return Start(last, known, known.get(_FIRST_EPOCH, 0))


def begin(options: TrainingOptions, start: Start) -> None:
    """Write the settings of a new or longer run into its folder."""
    path = options.run_folder / _SETTINGS
    longer = options.resume and _is_longer(options, _read(path))
    _write(path, start.settings)
    if longer:
        # These are the shorter run's: until there are others, the run has not ended.
        (options.run_folder / _FIGURES).unlink()


def has_begun(run_folder: Path) -> bool:
    """Return whether a run was started in the folder."""
    return (run_folder / _SETTINGS).is_file()


def is_unused(run_folder: Path) -> bool:
    """Return whether there is nothing in the folder, or no folder."""
    if not run_folder.exists():
        return True
    return run_folder.is_dir() and all(path.name == _LOCK for path in run_folder.iterdir())


def check_output(options: TrainingOptions) -> None:
    """Raise a UsageError if ``output`` exists, without ``force``, and is not this run's own."""
    if options.force or not options.output.exists() or wrote_output(options):
        return
    raise UsageError(f"--output {printable(options.output)} exists; choose another file, or give --force")


def finished_result(options: TrainingOptions, fingerprint: str) -> TrainingResult | None:
    """Return the result of a run that ended with these options; None if there is none, or it is to be longer.

    Raises:
        UsageError: the run was started with other options or faces.
    """
    path = options.run_folder / _FIGURES
    if not path.is_file():
        return None
    started_with = _read(options.run_folder / _SETTINGS)
    if _is_longer(options, started_with):
        return None
    _check_same(started_with, options.settings() | {_FINGERPRINT: fingerprint})
    return TrainingResult(**_read(path))


def _is_longer(options: TrainingOptions, started_with: dict[str, Any]) -> bool:
    """Return whether a finished run is to have more epochs than it was started with."""
    return (options.run_folder / _FIGURES).is_file() and options.epochs > started_with.get("epochs", 0)


def wrote_output(options: TrainingOptions) -> bool:
    """Return whether the run that ``resume`` continues writes, or wrote, to ``output``."""
    if not options.resume:
        return False
    for name, entry in ((_SETTINGS, _OUTPUT), (_FIGURES, "checkpoint")):
        path = options.run_folder / name
        if path.is_file() and (written := _read(path).get(entry)):
            return Path(written).resolve() == options.output.resolve()
    return False


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
        longer = "; more --epochs can follow once it has ended" if name == "epochs" else ""
        raise UsageError(
            f"--resume: the run was started with {name} {before.get(name)!r}, got {value!r}; "
            f"resume with the same settings, or start another run with --run-folder{longer}"
        )


def _read(path: Path) -> dict[str, Any]:
    """Read a JSON object; raises UsageError."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(
            f"--resume: {printable(path)} is damaged, or no file of a training ({error}); choose another "
            "--run-folder"
        ) from error


def _write(path: Path, document: dict[str, Any]) -> None:
    with replace_file(path) as draft:
        draft.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
