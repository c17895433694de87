"""`report.html`, `report.json` and `predictions.csv` of one evaluation."""

from __future__ import annotations

import csv
import json
import shlex
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from lnlattennet._atomic import replace_file, try_folder
from lnlattennet.errors import UsageError, require
from lnlattennet.evaluation._charts import confusion_chart, reliability_chart, thumbnail
from lnlattennet.evaluation._evaluate import Evaluation
from lnlattennet.training._calibration import log_probabilities


def check_output(folder: Path) -> None:
    """Refuse, before any work, a folder that could not be written at its end.

    Raises:
        UsageError: it is a file.
        UnavailableError: jinja2 is not installed.
    """
    require("jinja2", "evaluate")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--output {folder} must be a folder, and is a file: choose another")
    try:
        try_folder(folder)
    except OSError as error:
        raise UsageError(f"--output {folder} cannot be written ({error.strerror}): choose another") from error


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Write the three files into ``folder``, each whole or not at all; earlier ones are replaced.

    Raises:
        UsageError: the folder cannot be written.
    """
    try:
        with replace_file(folder / "predictions.csv") as draft:
            _write_predictions(evaluation, draft)
        with replace_file(folder / "report.json") as draft:
            text = json.dumps(evaluation.document, indent=2, ensure_ascii=False)
            draft.write_text(text + "\n", encoding="utf-8")
        with replace_file(folder / "report.html") as draft:
            draft.write_text(render_html(evaluation), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--output {folder} cannot be written ({error.strerror})") from error


def render_html(evaluation: Evaluation) -> str:
    """Return the report as one HTML page that loads nothing else."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["percent"] = _percent
    environment.filters["span"] = _span
    path = resources.files("lnlattennet.evaluation").joinpath("templates/report.html")
    document = evaluation.document
    return environment.from_string(path.read_text(encoding="utf-8")).render(
        report=document,
        confusion=confusion_chart(document["class_names"], document["confusion"]),
        reliability=[reliability_chart(entry) for entry in document["calibration"].values()],
        mistakes=_mistakes(evaluation),
        command=shlex.join(document["command"]),
    )


def _write_predictions(evaluation: Evaluation, path: Path) -> None:
    """One row per face: its name, class, answer, and probability of every class after the temperature."""
    document, answers = evaluation.document, evaluation.answers
    names = document["class_names"]
    probabilities = np.exp(log_probabilities(answers.logits, document["temperature"]))
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["face", "class", "answer", *(f"p({name})" for name in names)])
        for index, label, row, logits in zip(
            answers.indices, answers.labels, probabilities, answers.logits, strict=True
        ):
            answer = names[int(logits.argmax())]
            face = evaluation.source.faces[index]
            table.writerow([face, names[label], answer, *(f"{value:.6f}" for value in row)])


def _mistakes(evaluation: Evaluation) -> list[dict[str, Any]]:
    answers, names = evaluation.answers, evaluation.document["class_names"]
    rows = {int(index): row for row, index in enumerate(answers.indices)}
    return [
        {
            "name": evaluation.source.faces[mistake.index],
            "picture": thumbnail(mistake.face),
            "confidence": mistake.confidence,
            "answer": names[int(answers.logits[rows[mistake.index]].argmax())],
            "label": names[answers.labels[rows[mistake.index]]],
        }
        for mistake in answers.mistakes
    ]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _span(figure: dict[str, float | None]) -> str:
    """Return the interval of a figure, as percentages."""
    if figure["low"] is None or figure["high"] is None:
        return ""
    return f"{figure['low']:.1%} to {figure['high']:.1%}"
