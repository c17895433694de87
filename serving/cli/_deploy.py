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
        Path, typer.Option("--output", "-o", help="Folder to write; a deployment gets another version.")
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
    activate: Annotated[
        bool,
        typer.Option("--activate", help="Serve the new version; the first one is served anyway."),
    ] = False,
    keep: Annotated[int, typer.Option(min=2, help="Versions to keep; the oldest above it are removed.")] = 5,
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
    from lnlattennet.serving.cli._versions import activate_version
    from lnlattennet.serving.triton._deployment import Deployment
    from lnlattennet.serving.triton._repository import add_version

    native = [name for name in BACKENDS if backend_named(name).INFO.triton_platform]
    for name in server_backend or ():
        if name not in native:
            # Else a misspelled name would leave the engine in the python backend, unnoticed.
            raise UsageError(f"--server-backend must be one of {', '.join(native)}, got {name!r}")
    backends = {"python", *(server_backend or ())}
    version = add_version(Bundle.load(bundle), output, backends, engine, topology, keep)
    deployment = Deployment(output.resolve())
    if activate and deployment.active != version:
        activate_version(deployment, version)
    described, active = version.describe(), deployment.active.number
    if json:
        print_json({"deployment": str(deployment.path), "active": active, **described})
        return
    text = f"wrote {deployment.path}: version {version.number}, {described['engine']}, checked"
    if active != version.number:
        text += (
            f"; version {active} stays active until `lnlattennet versions {output} "
            f"--activate {version.number}`"
        )
    stdout().print(text, highlight=False, soft_wrap=True)
