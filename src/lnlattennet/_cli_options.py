"""Options that several commands share, as annotations of their parameters."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import typer

from lnlattennet._version import __version__
from lnlattennet.errors import UsageError

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


def parse_percent(text: str) -> float:
    """Read the value of `--fail-on-regression`, "5%" or "5"; raise UsageError with the rule and the value.

    A number below 1 needs its sign: 0.05 may mean 5%, as a share does elsewhere, or 0.05%.
    """
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?%?", text):
        raise UsageError(f"--fail-on-regression must be a share of 0% or more, such as 5%, got {text!r}")
    percent = float(text.removesuffix("%"))
    if 0 < percent < 1 and not text.endswith("%"):
        raise UsageError(
            f"--fail-on-regression {text} may mean {text}% or {100 * percent:g}%; write one with its %"
        )
    return percent
