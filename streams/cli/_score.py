"""Command `lnlattennet score`: many images to one table, on a Ray cluster."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnlattennet._cli_options import Quiet, Verbose
from lnlattennet._command import configure_logging, counted, print_json

if TYPE_CHECKING:
    from lnlattennet.streams.cluster._score import ScoreOptions, ScoreResult


def score(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Images, Parquet files, WebDataset shards (tar) and folders of them: paths or URLs.",
        ),
    ],
    bundle: Annotated[Path, typer.Option(help="Bundle to score with.")],
    output: Annotated[
        str, typer.Option("--output", "-o", help="Table: a folder of Parquet files, as a path or URL.")
    ],
    cluster: Annotated[
        str,
        typer.Option(help="local: Ray on this machine; auto or HOST:PORT: a Ray cluster that runs."),
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Workers, each on a core.", show_default="all cores of the cluster"),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="Engine of the bundle; any takes one that runs here.", show_default="the selected one"
        ),
    ] = None,
    shard: Annotated[
        int, typer.Option(min=1, help="Score N images at a time, into one Parquet file; a tar as a whole.")
    ] = 1000,
    column: Annotated[str, typer.Option(help="Column of Parquet files: encoded images, or paths.")] = "image",
    max_faces: Annotated[
        int | None,
        typer.Option(min=1, help="Predict at most N faces of each image.", show_default="the largest one"),
    ] = None,
    min_face: Annotated[
        float, typer.Option(min=0, help="With --max-faces: call smaller faces, in pixels, too small.")
    ] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a table that an earlier run began.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Predict the expression on millions of images, on a Ray cluster.

    Images that cannot be read are rows that say why; the exit code is then 0.
    """
    configure_logging(verbose, quiet)
    from lnlattennet.errors import require

    # Before its modules import it without a hint.
    require("pyarrow", "cluster")
    from lnlattennet.streams.cluster._score import ScoreOptions

    options = ScoreOptions(
        sources=sources,
        bundle=bundle,
        output=output,
        cluster=cluster,
        workers=workers,
        engine=engine,
        resume=resume,
        shard_images=shard,
        column=column,
        max_faces=max_faces,
        min_face=min_face,
    )
    result = _with_progress(options)
    if json:
        print_json(dataclasses.asdict(result))
        return
    before = f" ({result.done_before:,} were done before)" if result.done_before else ""
    print(
        f"{output}: {counted(result.rows, 'row')} of {counted(result.images, 'image')}, "
        f"{result.unreadable:,} unreadable, in {result.done:,} of {counted(result.shards, 'shard')}{before}"
    )


def _with_progress(options: ScoreOptions) -> ScoreResult:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from lnlattennet._console import shows_progress, stderr
    from lnlattennet.streams.cluster._score import score as run

    columns = (
        TextColumn("shards"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    with Progress(*columns, console=stderr, disable=not shows_progress(), redirect_stdout=False) as progress:
        task = progress.add_task("", total=None, rate="")

        def show(result: ScoreResult) -> None:
            elapsed = progress.tasks[0].elapsed or 1
            progress.update(
                task,
                total=result.shards,
                completed=result.done_before + result.done,
                rate=f"{result.images / elapsed:,.0f} images/s",
            )

        return run(options, show)
