"""Three forms of the answers of `predict`: tables on a terminal, a JSON document, and a file of rows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from lnlattennet._command import counted, on_one_line, print_json
from lnlattennet._console import shows_progress
from lnlattennet.serving._results import Result, results_document
from lnlattennet.streams._answers import FramePredictor, Task, batched
from lnlattennet.streams._local import Faces
from lnlattennet.streams._run import write_table
from lnlattennet.streams.cli._console import print_results
from lnlattennet.streams.cli._moving import Moving
from lnlattennet.streams.cli._overlay_paths import OverlayPaths
from lnlattennet.streams.sources._camera import is_camera
from lnlattennet.streams.sources._files import Files
from lnlattennet.streams.sources._frames import frames, moves
from lnlattennet.streams.sources._selection import Selection
from lnlattennet.streams.sources._video import expected_frames
from lnlattennet.streams.tables._journal import Run

_PAGE = 20
"""Images of a printed table: a folder of millions is printed as it is judged."""

_log = logging.getLogger(__name__)


def write_rows(
    files: Files,
    overlays: OverlayPaths,
    predictor: FramePredictor,
    output: Path,
    faces: Faces,
    *,
    moving: Moving,
    resume: bool,
    repeatable: bool,
    json: bool,
) -> bool:
    """Write a row for every image and face to a file; return whether an image or an overlay failed.

    ``repeatable`` tells whether a later run gets the same frames.
    """
    with moving.stage() as stage:
        summary = write_table(
            _tasks(files, overlays, moving.selection),
            predictor,
            output,
            run=Run(predictor.model, faces.options | moving.options),
            resume=resume,
            repeatable=repeatable,
            stage=stage,
            total=_total(files, moving.selection) if shows_progress() and files.repeatable else None,
        )
    overlays.log(summary.overlays)
    if files.left_out:
        _log.info("left out %s in folders, by the ending no image", counted(files.left_out, "file"))
    statuses = dict(sorted(summary.rows.items()))
    if json:
        print_json({"output": str(output), "images": summary.frames, "rows": statuses})
    rows = ", ".join(f"{count} {status}" for status, count in statuses.items())
    _log.info("%s: %s, rows: %s", on_one_line(output), summary.counted, rows or "none")
    return bool(summary.rows["unreadable"] or summary.problems)


def print_document(files: Files, overlays: OverlayPaths, predictor: FramePredictor) -> bool:
    """Print one JSON document of all answers; return whether an image or an overlay failed."""
    results = list(_results(files, overlays, predictor))
    print_json(results_document(results))
    return any(result.error for result in results)


def print_answers(files: Files, overlays: OverlayPaths, predictor: FramePredictor) -> bool:
    """Print tables and region weights; return whether an image or an overlay failed."""
    failed = False
    for page in batched(_results(files, overlays, predictor), _PAGE):
        print_results(page)
        failed |= any(result.error for result in page)
    return failed


def _total(files: Files, selection: Selection) -> int | None:
    """Return about how many frames there are, or None if nobody knows."""
    total = 0
    for name in files:
        count = 1 if not moves(name) else None if is_camera(name) else expected_frames(name, selection)
        if count is None:
            return None
        total += count
    return total


def _tasks(files: Files, overlays: OverlayPaths, selection: Selection) -> Iterator[Task]:
    for name in files:
        overlay = overlays(name)
        yield from (Task(frame, overlay) for frame in frames(name, selection))


def _results(files: Files, overlays: OverlayPaths, predictor: FramePredictor) -> Iterator[Result]:
    drawn = 0
    for task, answer in predictor(_tasks(files, overlays, Selection())):
        drawn += answer.drew(task)
        yield Result(task.frame.source, answer.predictions, answer.error or answer.overlay_error)
    overlays.log(drawn)
