"""Options that several commands share, as annotations of their parameters."""

from __future__ import annotations

from typing import Annotated

import typer

Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, help="Increase log verbosity.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Log only warnings and errors.")]
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
