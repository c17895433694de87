"""The command `lnlattennet data inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from lnlattennet._atomic import replace_file, try_folder
from lnlattennet._cli_options import Quiet, Verbose
from lnlattennet._command import configure_logging, on_one_line, print_json, printable
from lnlattennet._console import stderr, stdout
from lnlattennet._hardware import usable_cpus
from lnlattennet.errors import UsageError

app = typer.Typer(help="Inspect data sets of faces.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """Inspect data sets of faces."""


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="The data set's folder, or FER2013's csv file.")],
    format: Annotated[
        str | None,
        typer.Option(help="Format of the data set.", show_default="detected"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a .png file with some faces of every class.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Threads that read images.")] = usable_cpus(),
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Read every image of a data set; report counts, sizes, subjects, duplicates and damaged files.

    The exit code is 1 if an image cannot be read.
    """
    configure_logging(verbose, quiet)
    _check_output(output)
    from lnlattennet.data import load_dataset
    from lnlattennet.data.inspect._contact_sheet import draw_sheet
    from lnlattennet.data.inspect._inspection import inspect_data
    from lnlattennet.data.inspect._report import describe

    opened = load_dataset(path, format)
    with Progress(console=stderr, transient=True, disable=quiet or not stderr.is_terminal) as progress:
        task = progress.add_task("reading images", total=len(opened))
        inspection = inspect_data(opened, workers, lambda done: progress.advance(task, done))
    if output is not None:
        with replace_file(output) as temporary:
            draw_sheet(inspection).save(temporary, "PNG")
    document = describe(inspection, output)
    if json_output:
        print_json(document)
    else:
        _print_tables(document)
    if inspection.unreadable:
        raise typer.Exit(1)


def _check_output(output: Path | None) -> None:
    """Raise if the sheet could not be written, before every image is read."""
    if output is None:
        return
    if output.suffix.lower() != ".png" or output.is_dir():
        raise UsageError(f"--output must be a file that ends in .png, got {printable(output)}")
    try:
        try_folder(output.parent)
    except OSError as error:
        raise UsageError(
            f"--output {printable(output)} cannot be written ({error.strerror}): choose another folder"
        ) from error


def _print_tables(document: dict[str, Any]) -> None:
    from lnlattennet.data.inspect._report import facts

    splits = document["splits"]
    counts = Table("class", title=f"{on_one_line(document['path'])}: {document['format']}")
    for name in (*splits, "all"):
        counts.add_column(name, justify="right")
    for name in document["class_names"]:
        row = [splits[split][name] for split in splits]
        counts.add_row(Text(on_one_line(name)), *(f"{count:,}" for count in (*row, sum(row))))
    counts.add_section()
    totals = [sum(splits[split].values()) for split in splits]
    counts.add_row("all", *(f"{count:,}" for count in (*totals, sum(totals))))
    console = stdout()
    console.print(counts)
    table = Table(show_header=False)
    for name, value in facts(document):
        table.add_row(name, Text(value))
    console.print(table)
