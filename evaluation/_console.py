"""Human-readable figures of an evaluation."""

from __future__ import annotations

from lnlattennet._command import on_one_line
from lnlattennet._console import Table, stdout
from lnlattennet.evaluation._evaluate import EvaluationDocument
from lnlattennet.evaluation._figures import Figure


def print_figures(document: EvaluationDocument) -> None:
    """Print metrics with 95% intervals, the calibration, the speed and the notes."""
    console, figures, data = stdout(), document.figures, document.data
    title = f"{document.model['name']} on {data['name']}, {data['split']}, {figures.faces} faces"
    table = Table("figure", "value", "95% interval", title=title)
    table.add_row("accuracy", *_cells(figures.accuracy))
    table.add_row("macro-F1", *_cells(figures.macro_f1))
    table.add_row("ECE", *_cells(figures.ece))
    table.add_section()
    for row in figures.classes:
        table.add_row(f"recall {row.name} ({row.faces})", *_cells(row.recall))
    console.print(table)
    for entry in figures.calibration.values():
        console.print(f"temperature {entry.temperature:.3f}: ECE {entry.ece:.2%}, NLL {entry.nll:.4f}")
    speed = document.throughput
    console.print(
        f"{speed['predict_faces_per_second']:,.0f} faces/s in the model, "
        f"{speed['total_faces_per_second']:,.0f} with reading and preparing them"
    )
    for note in document.notes:
        console.print(f"note: {on_one_line(note)}")


def _cells(figure: Figure) -> tuple[str, str]:
    if figure.value is None:
        return "-", "no faces"
    return f"{figure.value:.2%}", f"{figure.low:.2%} to {figure.high:.2%}"
