"""Command `lnlattennet timeline`: answers over time as a page and a table."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from lnlattennet._cli_options import Quiet, Verbose
from lnlattennet._command import configure_logging, counted, on_one_line

_log = logging.getLogger(__name__)


def timeline(
    results: Annotated[
        Path,
        typer.Argument(
            help="Table of answers: a .csv, .jsonl or .parquet file, or a folder that score wrote.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML page to write.")] = Path(
        "timeline.html"
    ),
    csv: Annotated[Path | None, typer.Option(help="Write the figures to this CSV file, too.")] = None,
    show_faces: Annotated[
        bool,
        typer.Option("--show-faces", help="Put faces from the judged files into the page, not blurred."),
    ] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Show the expressions of every person over time, as a page.

    The page is one file that loads nothing else, and holds no image unless --show-faces is given.
    """
    configure_logging(verbose, quiet)
    from lnlattennet._console import status
    from lnlattennet.streams.timeline._write import write_timeline

    with status(f"reading {on_one_line(results)}"):
        found = write_timeline(results, output, csv, show_faces=show_faces)
    persons = sum(not figures.person.images for figures in found.persons)
    _log.info(
        "wrote %s: %s, %s, %s without a time",
        on_one_line(output),
        counted(found.rows, "row"),
        counted(persons, "person"),
        counted(found.images.images, "image"),
    )
    if csv:
        _log.info("wrote %s", on_one_line(csv))
