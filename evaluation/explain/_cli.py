"""Command `lnlattennet explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlattennet._cli_options import AllowPickle, Quiet, Verbose
from lnlattennet._command import configure_logging, print_json
from lnlattennet.errors import UsageError, require

if TYPE_CHECKING:
    from rich.table import Table


def explain(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint file.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Write the drawings and explanations.json here.")
    ],
    images: Annotated[list[Path] | None, typer.Argument(help="Images of faces, JPEG or PNG.")] = None,
    data: Annotated[
        str | None, typer.Option(help="Data set to average over per expression: folder, file or 'synthetic'.")
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
    allow_pickle: AllowPickle = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the values as one JSON document.")
    ] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
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
    from lnlattennet.evaluation.explain._explain import ExplanationOptions, explain_checkpoint

    document = explain_checkpoint(
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
        print_json(document)
        return
    if data == SYNTHETIC:
        stdout().print(_score_table(document["data"], regions=document["grid"] ** 2))
    for file in document["files"]:
        stdout().print(file)


def _score_table(scores: dict[str, Any], *, regions: int) -> Table:
    """Return crucial-region recall beside that of even weights, and the accuracy with regions covered."""
    from rich.table import Table

    def share(figure: dict[str, float]) -> tuple[str, str]:
        return f"{figure['value']:.1%}", f"{figure['low']:.1%} to {figure['high']:.1%}"

    crucial = scores["crucial_regions"]
    table = Table("figure", "value", "95% interval", "even weights", "at most")
    even = f"{crucial['uniform_share']:.1%}"
    table.add_row("weight on the true regions", *share(crucial["share_of_weight"]), even, "100.0%")
    times = crucial["times_uniform"]
    interval = f"{times['low']:.2f} to {times['high']:.2f}"
    table.add_row(
        "  times uniform", f"{times['value']:.2f}", interval, "1", f"{crucial['best_possible']:.2f}"
    )
    for k in (1, 3):
        hits = share(crucial[f"top_{k}_hit_rate"])
        table.add_row(f"top-{k} hit rate", *hits, f"{min(1, k / regions):.1%}", "100.0%")
    table.add_section()
    for point in scores["occlusion"]:
        name = f"accuracy, {point['covered']} of {regions} regions covered"
        table.add_row(name, *share(point["accuracy"]), "", "")
    return table
