"""Report files of an evaluation: `report.html`, `report.json` and `predictions.csv`."""

from __future__ import annotations

import base64
import csv
import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from lnlattennet._atomic import output_errors, replace_file, try_folder
from lnlattennet._charts import IntervalMark, LinearAxis, Tick, report_environment
from lnlattennet.errors import UsageError, require
from lnlattennet.evaluation._evaluate import Evaluation
from lnlattennet.evaluation._figures import Figure
from lnlattennet.evaluation.predictors._base import Faces
from lnlattennet.streams.sources._files import FOLDER_SUFFIXES
from lnlattennet.training._calibration import log_probabilities

_THUMBNAIL = 160
_FILE_SUFFIXES = FOLDER_SUFFIXES | {".csv", ".html", ".json", ".pdf", ".svg"}


def check_output(folder: Path) -> None:
    """Check that the report can be written, before the evaluation.

    Raises:
        UsageError: it is a file, or cannot be written.
        UnavailableError: jinja2 is not installed.
    """
    require("jinja2", "evaluate")
    check_folder(folder)


def check_folder(folder: Path) -> None:
    """Check that files can be written into --output, before minutes of work; a new folder is not kept.

    Raises:
        UsageError: it is a file, ends as an image, video or report does, or cannot be written.
    """
    is_new = not folder.exists()
    if is_new and folder.suffix.lower() in _FILE_SUFFIXES:
        raise UsageError(f"--output must be a folder, got {folder}: leave out {folder.suffix}")
    if not (is_new or folder.is_dir()):
        raise UsageError(f"--output {folder} must be a folder, and is a file: choose another")
    with output_errors(folder):
        try_folder(folder)
        if is_new:
            folder.rmdir()


def write_report(evaluation: Evaluation, folder: Path | str) -> None:
    """Write the three files into ``folder``, each whole or not at all; earlier ones are replaced.

    Raises:
        UsageError: the folder cannot be written.
    """
    folder = Path(folder)
    with output_errors(folder):
        with replace_file(folder / "predictions.csv") as draft:
            _write_predictions(evaluation, draft)
        with replace_file(folder / "report.json") as draft:
            text = json.dumps(evaluation.document.to_dict(), indent=2, ensure_ascii=False)
            draft.write_text(text + "\n", encoding="utf-8")
        with replace_file(folder / "report.html") as draft:
            draft.write_text(render_html(evaluation), encoding="utf-8")


def render_html(evaluation: Evaluation) -> str:
    """Return the report as one HTML page that loads nothing else."""
    filters: dict[str, Callable[..., object]] = {
        "percent": _percent,
        "span": _span,
        "mark": _mark,
        "extent": "{:.2%}".format,
    }
    document, figures = evaluation.document, evaluation.document.figures
    return (
        report_environment("lnlattennet.evaluation", filters)
        .get_template("report.html")
        .render(
            report=document,
            figures=figures,
            x_ticks=[Tick(share, f"{share}%") for share in (0, 50, 100)],
            y_ticks=[Tick(100 - share, f"{share}%") for share in (0, 50, 100)],
            mistakes=[
                (mistake, evaluation.data.faces[mistake.index], _thumbnail(mistake.face))
                for mistake in evaluation.predictions.mistakes
            ],
            command=shlex.join(document.command),
        )
    )


def _write_predictions(evaluation: Evaluation, path: Path) -> None:
    """Write a row per face: name, class, prediction, and every class's probability after the temperature."""
    figures, predictions = evaluation.document.figures, evaluation.predictions
    names = figures.class_names
    probabilities = np.exp(log_probabilities(predictions.logits, figures.temperature))
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["face", "class", "answer", *(f"p({name})" for name in names)])
        for index, label, row, logits in zip(
            predictions.indices, predictions.labels, probabilities, predictions.logits, strict=True
        ):
            prediction, face = names[int(logits.argmax())], evaluation.data.faces[index]
            table.writerow([face, names[label], prediction, *(f"{value:.6f}" for value in row)])


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _span(figure: Figure) -> str:
    """Return the interval of a figure, as percentages."""
    return "" if figure.low is None or figure.high is None else f"{figure.low:.1%} to {figure.high:.1%}"


def _mark(figure: Figure) -> IntervalMark:
    """Return a figure, which has an interval, on the scale from 0 to 100%."""
    return LinearAxis(0, 1).interval(figure.value or 0.0, figure.low or 0.0, figure.high or 0.0)


def _thumbnail(face: Faces) -> str:
    """Return a face uint8 [S, S, 3] as a PNG data URI, at most 160 pixels a side."""
    image = Image.fromarray(face)
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
