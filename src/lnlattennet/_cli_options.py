"""Options that several commands share, as annotations of their parameters."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from lnlattennet._version import __version__

HELP_FLAGS = {"help_option_names": ["-h", "--help"]}
"""Context settings of each program; its subcommands inherit them."""


def _show_version(requested: bool) -> None:
    if requested:
        typer.echo(f"lnlattennet {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
]
Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, help="Increase log verbosity.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Log only warnings and errors.")]
LogFormat = Annotated[
    Literal["text", "json"], typer.Option(help="Log as text, or as one JSON object a line.")
]
Faces = Annotated[
    str,
    typer.Option(
        "--faces",
        help="auto: find and crop faces where the data set's images are not face crops; crop: always; as-is: "
        "never.",
    ),
]
AllowPickle = Annotated[
    bool, typer.Option("--allow-pickle", help="Accept a pickled training checkpoint, loaded as weights only.")
]
