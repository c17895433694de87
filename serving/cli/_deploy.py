"""Command `lnlattennet deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lnlattennet._cli_options import Quiet, Verbose
from lnlattennet._command import configure_logging, print_json


def deploy(
    bundle: Annotated[Path, typer.Argument(help="Bundle written by export-engine.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to write; an earlier deployment is replaced.")
    ],
    engine: Annotated[
        str | None,
        typer.Option(help="Name of the engine that serves.", show_default="the bundle's selected one"),
    ] = None,
    server_backend: Annotated[
        list[str] | None,
        typer.Option(
            help="Backend that the server has beside python, such as onnxruntime or tensorrt: an engine of "
            "that kind runs in it. Repeatable."
        ),
    ] = None,
    topology: Annotated[
        Literal["ensemble", "fused"] | None,
        typer.Option(
            help="Whether the engine runs as a step of its own, or all steps as one.",
            show_default="ensemble where the server has a backend for the engine, else fused",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Write a bundle's Triton model repository, and check it."""
    configure_logging(verbose, quiet)
    from lnlattennet._console import stdout
    from lnlattennet.bundle._bundle import Bundle
    from lnlattennet.errors import UsageError
    from lnlattennet.runtimes._registry import BACKENDS, backend_named
    from lnlattennet.serving.triton._deployment_check import check_deployment
    from lnlattennet.serving.triton._repository import deploy as write

    native = [name for name in BACKENDS if backend_named(name).INFO.triton_platform]
    for name in server_backend or ():
        if name not in native:
            # Else a misspelled name would leave the engine in the python backend, unnoticed.
            raise UsageError(f"--server-backend must be one of {', '.join(native)}, got {name!r}")
    backends = {"python", *(server_backend or ())}
    deployment = write(Bundle.load(bundle), output, backends, engine, topology)
    check_deployment(deployment)
    served = Bundle.load(deployment.bundle).manifest.selected
    if json:
        print_json({"deployment": str(deployment.path), "engine": served})
    else:
        stdout().print(f"wrote {deployment.path}: {served}, checked", highlight=False, soft_wrap=True)
