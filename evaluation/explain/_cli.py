"""Command `lnlattennet explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lnlattennet._command import configure_logging, print_json
from lnlattennet.errors import UsageError, require


def explain(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint file.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Write the drawings and explanations.json here.")
    ],
    images: Annotated[list[Path] | None, typer.Argument(help="Images of faces, JPEG or PNG.")] = None,
    data: Annotated[
        str | None, typer.Option(help="Average over a data set, per expression: folder, file or 'synthetic'.")
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="Layout of the data set.", show_default="detected")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Split: train, val, test or all.", show_default="test, else val, else all"),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("--images", min=1, help="Faces to average.", show_default="all; 350 synthetic ones"),
    ] = None,
    region: Annotated[
        int | None,
        typer.Option(
            min=0, help="Show the affinity around this region.", show_default="the highest weighted"
        ),
    ] = None,
    history: Annotated[
        Path | None, typer.Option(help="Folder of a training run: show how its region weights changed.")
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Accept a pickled training checkpoint.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print explanations.json.")] = False,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Increase log verbosity.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log only warnings and errors.")] = False,
) -> None:
    """Show what the network looks at: weights, affinity and attention."""
    configure_logging(verbose, quiet)
    if not images and data is None and history is None:
        raise UsageError("there is nothing to explain: give images, --data or --history")
    if data is None and (format_ or split or count):
        raise UsageError("--format, --split and --images choose faces of a data set: add --data")
    from lnlattennet.model._provenance import SYNTHETIC

    if data == SYNTHETIC and (format_ or split):
        raise UsageError("--data synthetic renders held-out faces: it has no --format and no --split")
    require("torch", "train")
    require("matplotlib", "train")
    from lnlattennet._console import stdout
    from lnlattennet.evaluation.explain._console import score_table
    from lnlattennet.evaluation.explain._data import RenderedScores
    from lnlattennet.evaluation.explain._explain import ExplanationOptions, explain_checkpoint

    index = explain_checkpoint(
        ExplanationOptions(
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
        print_json(index.to_dict())
        return
    if index.data is not None and isinstance(index.data.facts, RenderedScores):
        stdout().print(score_table(index.data.facts, regions=index.grid**2))
    for file in index.files:
        stdout().print(file)
