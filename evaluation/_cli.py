"""The command `lnlattennet evaluate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from lnlattennet._command import configure_logging, on_one_line, print_json, printable
from lnlattennet._console import stdout


def evaluate(
    model: Annotated[
        str, typer.Argument(help="Checkpoint file, bundle folder, or grpc://host:port or http://host:port.")
    ],
    data: Annotated[str, typer.Option(help="A data set's folder or file, or: synthetic.")],
    format: Annotated[
        str | None, typer.Option(help="Layout of the data set.", show_default="detected")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="train, val, test or all.",
            show_default="what the model's training held out, else test, else val, else all",
        ),
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=1, help="Faces to render for synthetic.", show_default="2100")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="Engine of a bundle.", show_default="the selected one")
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="Divides the logits for confidences.", show_default="the model's own, or 1"),
    ] = None,
    covered_regions: Annotated[
        int, typer.Option(min=0, help="Regions to cover, at random, on every face.")
    ] = 0,
    common_classes: Annotated[
        bool, typer.Option("--common-classes", help="Judge only the classes that model and data share.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=4095, help="Of faces, covers and intervals.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for report.html, report.json and predictions.csv."),
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Accept a pickled training checkpoint.")
    ] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the figures as one JSON document.")
    ] = False,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Show detail.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
) -> None:
    """Evaluate a checkpoint, a bundle or a running server on labeled faces."""
    configure_logging(verbose, quiet)
    from lnlattennet.evaluation._evaluate import EvaluationOptions
    from lnlattennet.evaluation._evaluate import evaluate as run
    from lnlattennet.evaluation._report import check_output, write_report

    options = EvaluationOptions(
        model=model,
        data=data,
        format=format,
        split=split,
        images=images,
        engine=engine,
        temperature=temperature,
        covered_regions=covered_regions,
        common_classes=common_classes,
        seed=seed,
        allow_pickle=allow_pickle,
        command=("lnlattennet", *map(printable, sys.argv[1:])),
    )
    if output is not None:
        check_output(output)
    evaluation = run(options)
    if output is not None:
        write_report(evaluation, output)
    if json_output:
        print_json(evaluation.document)
        return
    _print_figures(evaluation.document)
    if output is not None:
        stdout().print(f"wrote {printable(output / 'report.html')}")


def _print_figures(document: dict[str, Any]) -> None:
    """Print a compact table with 95% intervals, the calibration, the speed and the notes."""
    console = stdout()
    about = document["data"]
    title = f"{document['model']['name']} on {about['name']}, {about['split']}, {document['faces']} faces"
    table = Table("figure", "value", "95% interval", title=title)
    for name, label in (("accuracy", "accuracy"), ("macro_f1", "macro-F1"), ("ece", "ECE")):
        table.add_row(label, *_cells(document[name]))
    table.add_section()
    for row in document["classes"]:
        table.add_row(f"recall {row['name']} ({row['faces']})", *_cells(row["recall"]))
    console.print(table)
    for entry in document["calibration"].values():
        console.print(
            f"temperature {entry['temperature']:.3f}: ECE {entry['ece']:.2%}, NLL {entry['nll']:.4f}"
        )
    speed = document["throughput"]
    console.print(
        f"{speed['predict_faces_per_second']:,.0f} faces/s in the model, "
        f"{speed['total_faces_per_second']:,.0f} with reading and preparing them"
    )
    for note in document["notes"]:
        console.print(f"note: {on_one_line(note)}")


def _cells(figure: dict[str, float | None]) -> tuple[str, str]:
    if figure["value"] is None:
        return "-", "no face of it"
    return f"{figure['value']:.2%}", f"{figure['low']:.2%} to {figure['high']:.2%}"
