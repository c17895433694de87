"""Command `lnlattennet evaluate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from lnlattennet._cli_options import AllowPickle, Faces, Quiet, Verbose
from lnlattennet._command import configure_logging, print_json, printable

if TYPE_CHECKING:
    from lnlattennet.data._records import FacesOption


def evaluate(
    model: Annotated[
        str, typer.Argument(help="Checkpoint file, bundle folder, or grpc://host:port or http://host:port.")
    ],
    data: Annotated[str, typer.Option(help="Labeled faces: folder or file of a data set, or 'synthetic'.")],
    format: Annotated[
        str | None, typer.Option(help="Layout of the data set.", show_default="detected")
    ] = None,
    faces: Faces = "auto",
    split: Annotated[
        str | None,
        typer.Option(
            help="Split to evaluate: train, val, test or all.",
            show_default="held out by the model's training, else test, else val, else all",
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(min=1, help="Faces to render for 'synthetic'.", show_default="2100"),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="Engine of the bundle; any takes one that runs here.", show_default="the selected one"
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="Divide the logits by this number for confidences.", show_default="the model's, or 1"
        ),
    ] = None,
    covered_regions: Annotated[
        int, typer.Option(min=0, help="Cover this many random regions of every face.")
    ] = 0,
    common_classes: Annotated[
        bool, typer.Option("--common-classes", help="Evaluate only the classes that model and data share.")
    ] = False,
    seed: Annotated[
        int, typer.Option(min=0, max=4095, help="Seed of rendered faces, covered regions and intervals.")
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write report.html, report.json and predictions.csv here."),
    ] = None,
    allow_pickle: AllowPickle = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the figures as one JSON document.")
    ] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Evaluate a checkpoint, a bundle or a running server on labeled faces."""
    configure_logging(verbose, quiet)
    from lnlattennet._console import stdout
    from lnlattennet.evaluation._console import print_figures
    from lnlattennet.evaluation._evaluate import EvaluationOptions
    from lnlattennet.evaluation._evaluate import evaluate as run
    from lnlattennet.evaluation._report import check_output, write_report

    options = EvaluationOptions(
        model=model,
        data=data,
        format=format,
        faces=cast("FacesOption", faces),
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
        print_json(evaluation.document.to_dict())
        return
    print_figures(evaluation.document)
    if output is not None:
        stdout().print(f"wrote {printable(output / 'report.html')}")
