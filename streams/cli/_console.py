"""Tables of predictions for terminals."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.color import Color
from rich.console import RenderableType
from rich.style import Style
from rich.text import Text

from lnlattennet._command import on_one_line
from lnlattennet._console import Table, stdout
from lnlattennet.bundle._prediction import Prediction
from lnlattennet.images._overlay import text_color, weight_color
from lnlattennet.serving._results import Result

_STATUS = {
    "ok": "found",
    "no_face": "center square",
    "too_small": "found, too small",
    "low_score": "found, low score",
}


def print_results(results: Sequence[Result]) -> None:
    """Print a table of the predictions and errors, and the region weights of each image below it."""
    console = stdout()
    table = Table("image", "expression", "face", "all probabilities")
    for result in results:
        for prediction in result.predictions:
            table.add_row(Text(on_one_line(result.name)), *_cells(prediction))
        if result.error:
            table.add_row(
                Text(on_one_line(result.name)), Text("error", "bold red"), "", Text(result.error, "red")
            )
    console.print(table)
    for result in results:
        for index, prediction in enumerate(result.predictions, 1):
            which = f", face {index}" if len(result.predictions) > 1 else ""
            console.print(Text(f"\nregion weights of {on_one_line(result.name)}{which}"))
            console.print(weight_table(prediction.region_weights))


def _cells(prediction: Prediction) -> tuple[Text, Text, Text]:
    left, top, right, bottom = (round(value) for value in prediction.face_box)
    how = _STATUS[prediction.status]
    ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    return (
        Text(f"{prediction.label} {prediction.probabilities[prediction.label]:.1%}", "bold"),
        Text(f"{how}\n({left}, {top}) to ({right}, {bottom})"),
        Text(", ".join(f"{name} {probability:.3f}" for name, probability in ranked)),
    )


def weight_table(weights: list[list[float]]) -> RenderableType:
    """Return g rows of g region weights as a table of numbers, with colors where the terminal has them."""
    table = Table.grid()
    peak = max(map(max, weights))
    # The star marks the largest weights where there are no colors; where all are alike, none stands out.
    starred = {f"{peak:.3f}"} - {f"{min(map(min, weights)):.3f}"}
    for row in weights:
        table.add_row(*(_weight_cell(weight, peak, starred) for weight in row))
    return table


def _weight_cell(weight: float, peak: float, starred: Collection[str]) -> Text:
    color = weight_color(weight / peak)
    style = Style(color=Color.from_rgb(*text_color(color)), bgcolor=Color.from_rgb(*color))
    digits = f"{weight:.3f}"
    return Text(f" {digits}{'*' if digits in starred else ' '}", style)
