"""The command `lnlattennet explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lnlattennet._command import configure_logging, print_json
from lnlattennet._console import stdout
from lnlattennet.errors import UsageError, require
from lnlattennet.model._provenance import SYNTHETIC


def explain(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint file.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the pictures and explanations.json.")
    ],
    images: Annotated[list[Path] | None, typer.Argument(help="JPEG or PNG files of faces.")] = None,
    data: Annotated[
        str | None, typer.Option(help="Average over this data set, per expression; or 'synthetic' faces.")
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="Layout of --data.", show_default="detected")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="train, val, test or all.", show_default="test, else val, else all")
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("--images", min=1, help="Faces of --data.", show_default="all; 350 synthetic ones"),
    ] = None,
    region: Annotated[
        int | None,
        typer.Option(
            min=0, help="Show the affinity around this region.", show_default="the highest weighted"
        ),
    ] = None,
    history: Annotated[
        Path | None, typer.Option(help="Training run's folder: show how its weights were updated.")
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Accept a pickled training checkpoint.")
    ] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the tables as one JSON document.")
    ] = False,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Log more.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log warnings only.")] = False,
) -> None:
    """Show what the network looks at: weights, affinity and attention."""
    configure_logging(verbose, quiet)
    if not images and data is None and history is None:
        raise UsageError("there is nothing to explain: give images, --data or --history")
    if data is None and (format_ or split or count):
        raise UsageError("--format, --split and --images choose faces of a data set: add --data")
    if data == SYNTHETIC and (format_ or split):
        raise UsageError("--data synthetic renders held-out faces: it has no --format and no --split")
    require("torch", "train")
    require("matplotlib", "train")
    from lnlattennet.evaluation.explain._run import Request, run

    document = run(
        Request(
            checkpoint=checkpoint,
            output=output,
            images=tuple(images or ()),
            data=data,
            format=format_,
            split=split,
            count=count,
            region=region,
            history=history,
            allow_pickle=allow_pickle,
        )
    )
    if json_output:
        print_json(document)
        return
    if data == SYNTHETIC:
        from lnlattennet.evaluation.explain._console import score_table

        stdout().print(score_table(document["data"], regions=document["grid"] ** 2))
    for file in document["files"]:
        stdout().print(file)
