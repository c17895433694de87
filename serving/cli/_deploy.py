"""Command `lnlattennet deploy`."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lnlattennet._cli_options import Quiet, Verbose
from lnlattennet._command import configure_logging, print_json

if TYPE_CHECKING:
    from lnlattennet.serving.triton._deployment import Version
    from lnlattennet.serving.tuning._tune import TuningOptions

_log = logging.getLogger(__name__)


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
    tune: Annotated[
        bool,
        typer.Option(
            "--tune",
            help="Serve the bundle here with several numbers of instances and threads and settings of the "
            "queue, one after the other under load, and deploy the best. It takes minutes.",
        ),
    ] = False,
    tune_objective: Annotated[
        Literal["throughput", "latency"] | None,
        typer.Option(
            help="Whether the best has the most answers a second with the most requests in flight, or the "
            "lowest median latency with the fewest.",
            show_default="throughput",
        ),
    ] = None,
    tune_concurrency: Annotated[
        str | None,
        typer.Option(help="Numbers of requests in flight at once.", show_default="1,4,8"),
    ] = None,
    tune_image: Annotated[
        Path | None,
        typer.Option(
            help="Image to send: one as your clients send.", show_default="a rendered face of 192 pixels"
        ),
    ] = None,
    backend_directory: Annotated[
        Path | None,
        typer.Option(
            help="Backends of the tritonserver on PATH, for --tune.",
            show_default="/opt/tritonserver/backends",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Write a bundle's Triton model repository, and check it."""
    configure_logging(verbose, quiet)
    from lnlattennet._console import stderr, stdout
    from lnlattennet.bundle._bundle import Bundle
    from lnlattennet.errors import UsageError
    from lnlattennet.runtimes._registry import BACKENDS, backend_named
    from lnlattennet.serving.cli._versions import activate_version
    from lnlattennet.serving.triton._deployment import Deployment
    from lnlattennet.serving.triton._repository import add_version, check_destination

    native = [name for name in BACKENDS if backend_named(name).INFO.triton_platform]
    for name in server_backend or ():
        if name not in native:
            # Else a misspelled name would leave the engine in the python backend, unnoticed.
            raise UsageError(f"--server-backend must be one of {', '.join(native)}, got {name!r}")
    backends = {"python", *(server_backend or ())}
    options = _tuning_options(tune, tune_objective, tune_concurrency, tune_image, backend_directory)
    verified, scheduling, records = Bundle.load(bundle), None, dict[str, str]()
    check_destination(output)
    if options is not None:
        from lnlattennet.serving.tuning._report import records_of
        from lnlattennet.serving.tuning._tune import tune_bundle

        tuning = tune_bundle(verified, backends, engine, topology, options, backend_directory)
        scheduling, records = tuning.chosen.scheduling, records_of(tuning)
        (stderr if json else stdout()).print(
            records["tune.md"], highlight=False, markup=False, soft_wrap=True
        )
    version = add_version(verified, output, backends, engine, topology, keep, scheduling, records)
    _warn_of_engine(version, backends)
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


def _warn_of_engine(version: Version, backends: Collection[str]) -> None:
    """Say if the engine cannot run here: it may well be deployed for another machine."""
    from lnlattennet.bundle._manifest import read_manifest
    from lnlattennet.errors import UnavailableError
    from lnlattennet.serving.triton._engine_fit import require_runnable

    try:
        require_runnable(read_manifest(version.bundle), backends)
    except UnavailableError as error:
        _log.warning("written, but for another machine than this: %s", error)


def _tuning_options(
    tune: bool,
    objective: Literal["throughput", "latency"] | None,
    concurrency: str | None,
    image: Path | None,
    backend_directory: Path | None,
) -> TuningOptions | None:
    from lnlattennet.errors import UsageError

    if not tune:
        given = {
            "--tune-objective": objective,
            "--tune-concurrency": concurrency,
            "--tune-image": image,
            "--backend-directory": backend_directory,
        }
        for flag, value in given.items():
            if value is not None:
                raise UsageError(f"{flag} is for --tune: add it, or leave {flag} out")
        return None
    from lnlattennet.serving.tuning._tune import TuningOptions

    try:
        in_flight = tuple(int(number) for number in (concurrency or "1,4,8").split(","))
    except ValueError as error:
        raise UsageError(
            f"--tune-concurrency must be numbers with commas between, as in 1,4,8; got {concurrency!r}"
        ) from error
    return TuningOptions(objective or "throughput", in_flight, image)
