"""Command `lnlattennet serve`: a bundle behind a Triton server, until Ctrl-C."""

from __future__ import annotations

import logging
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from lnlattennet._command import configure_logging, print_json
from lnlattennet._console import stderr
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle.doctor._triton_releases import EMBEDDED_SERVER, SAFE_SINCE
from lnlattennet.errors import ServingError
from lnlattennet.serving.triton._discovery import TritonServer, find_server
from lnlattennet.serving.triton._endpoints import Endpoints, choose_endpoints
from lnlattennet.serving.triton._health import probe_model
from lnlattennet.serving.triton._model_config import ENSEMBLE
from lnlattennet.serving.triton._process import TritonProcess
from lnlattennet.serving.triton._repository import Deployment, deploy

_CHECK_SECONDS = 1.0
_CHECKS_PER_PROBE = 15

_Port = Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")]

_logger = logging.getLogger(__name__)


def serve(
    bundle: Annotated[Path, typer.Argument(help="Bundle written by export-engine.")],
    deploy_to: Annotated[
        Path | None, typer.Option(help="Keep the deployable copy here.", show_default="a temporary folder")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    http_port: _Port = 8000,
    grpc_port: _Port = 8001,
    metrics_port: _Port = 8002,
    backend_directory: Annotated[
        Path | None,
        typer.Option(help="Backends of the tritonserver on PATH.", show_default="/opt/tritonserver/backends"),
    ] = None,
    startup_timeout: Annotated[float, typer.Option(min=1, help="Seconds until it must answer.")] = 120.0,
    json: Annotated[bool, typer.Option("--json", help="Print the addresses as JSON.")] = False,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Log more.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log warnings only.")] = False,
) -> None:
    """Serve a bundle with NVIDIA Triton until Ctrl-C or SIGTERM."""
    configure_logging(verbose, quiet)
    with _one_interrupt(), ExitStack() as stack:
        verified = Bundle.load(bundle)
        endpoints = choose_endpoints(host, http_port, grpc_port, metrics_port)
        server = stack.enter_context(find_server(backend_directory))
        folder = deploy_to or Path(stack.enter_context(_temporary_folder()), "deployment")
        deployment = deploy(verified, folder, server.backends)
        _warn(server, endpoints)
        stack.enter_context(_pointing_to(deployment.log, kept=deploy_to is not None))
        started = time.monotonic()
        _logger.info("starting tritonserver")
        process = stack.enter_context(TritonProcess(server, deployment, endpoints, startup_timeout))
        _logger.info("answers after %.1f s", time.monotonic() - started)
        try:
            _announce(process, deployment, json)
            _watch(process)
        except KeyboardInterrupt:
            _logger.info("stopping")


@contextmanager
def _one_interrupt() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C; the first one stops the command, later ones do not disturb the stopping."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for stopping in earlier:
            signal.signal(stopping, signal.SIG_IGN)
        raise KeyboardInterrupt

    earlier = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextmanager
def _pointing_to(log: Path, kept: bool) -> Iterator[None]:
    """Say where the server's log is if the server fails."""
    try:
        yield
    except ServingError:
        where = f"is {log}" if kept else "was temporary; keep it with --deploy-to DIR"
        _logger.error("the server failed; its log %s", where)
        raise


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="lnlattennet-serve-")


def _warn(server: TritonServer, endpoints: Endpoints) -> None:
    if server.embedded:
        _logger.warning(
            "the embedded Triton %s is for development only (known vulnerabilities): "
            "use NVIDIA's container, %s or newer, in production",
            EMBEDDED_SERVER,
            SAFE_SINCE,
        )
    if not endpoints.is_loopback:
        _logger.warning("%s is open to other machines, without encryption or password", endpoints.host)


def _announce(process: TritonProcess, deployment: Deployment, as_json: bool) -> None:
    at = process.endpoints
    if as_json:
        addresses = {"http": at.http, "grpc": at.grpc, "metrics": at.metrics}
        print_json(addresses | {"model": ENSEMBLE, "pid": process.pid, "deployment": str(deployment.path)})
        return
    stderr.print(f"HTTP     {at.http}\ngRPC     {at.grpc}\nmetrics  {at.metrics}", highlight=False)
    stderr.print(f"try      lnlattennet predict face.jpg --url {at.grpc}", highlight=False, soft_wrap=True)
    stderr.print("Ctrl-C stops the server", highlight=False)


def _watch(process: TritonProcess) -> None:
    """Return never; raise ServingError when the server dies, log when it stops or resumes to answer."""
    answers = True
    while True:
        for _ in range(_CHECKS_PER_PROBE):
            time.sleep(_CHECK_SECONDS)
            process.check()
        answers = _still_answers(process.endpoints, answers)


def _still_answers(endpoints: Endpoints, answered_before: bool) -> bool:
    try:
        probe_model(endpoints.grpc, ENSEMBLE)
    except ServingError as error:
        _logger.error("%s", error)
        return False
    if not answered_before:
        _logger.info("the server answers again")
    return True
