"""Command `lnlattennet serve`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnlattennet._cli_options import LogFormat, Quiet, Verbose
from lnlattennet._command import configure_logging, print_json
from lnlattennet.errors import UsageError
from lnlattennet.serving.client._arguments import LONGEST_TIMEOUT
from lnlattennet.serving.gateway._packages import require_gateway
from lnlattennet.serving.triton._model_names import ENSEMBLE

if TYPE_CHECKING:
    from lnlattennet.serving.triton._deployment import Deployment
    from lnlattennet.serving.triton._process import TritonProcess

_PAGE_PORT = 8080

_Port = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.")]


def serve(
    bundle: Annotated[Path, typer.Argument(help="Bundle of export-engine, or deployment of deploy.")],
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
    startup_timeout: Annotated[
        float, typer.Option(min=1, max=LONGEST_TIMEOUT, help="Seconds until the server must answer.")
    ] = 120.0,
    shared_memory: Annotated[
        bool,
        typer.Option("--shared-memory", help="Let clients on this machine send tensors in shared memory."),
    ] = False,
    health_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port for /livez, /readyz (200 while the answer for a known face is right) and /metrics; "
            "0 picks a free one.",
            show_default="none",
        ),
    ] = None,
    page: Annotated[
        bool,
        typer.Option(
            "--page",
            help="Offer a page for camera, images and videos, to browsers of this machine (extra gateway).",
        ),
    ] = False,
    page_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port of --page; 0 picks a free one.", show_default=str(_PAGE_PORT)
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the addresses as JSON.")] = False,
    log_format: LogFormat = "text",
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Serve a bundle with NVIDIA Triton until Ctrl-C or SIGTERM."""
    configure_logging(verbose, quiet, log_format)
    from lnlattennet.serving.triton._service import serve_bundle

    if page_port is not None and not page:
        raise UsageError("--page-port is for --page: add it, or leave --page-port out")
    show = _print_json if json else _say_nothing if log_format == "json" else _print_addresses
    with ExitStack() as stack:
        open_page = _page(stack, _PAGE_PORT if page_port is None else page_port, log_format) if page else None

        def announce(process: TritonProcess, deployment: Deployment, health: str | None) -> None:
            show(process, deployment, health, open_page and open_page(process, deployment))

        serve_bundle(
            bundle,
            announce,
            deploy_to=deploy_to,
            host=host,
            ports=(http_port, grpc_port, metrics_port),
            backend_directory=backend_directory,
            startup_timeout=startup_timeout,
            shared_memory=shared_memory,
            health_port=health_port,
        )


def _page(stack: ExitStack, port: int, log_format: LogFormat) -> Callable[[TritonProcess, Deployment], str]:
    """Take the page's port before a server starts; the page itself opens when the server answers."""
    require_gateway()
    from lnlattennet.serving.gateway._json_log import log_requests
    from lnlattennet.serving.gateway._page_address import page_address, page_socket

    if log_format == "json":
        log_requests()
    listening = stack.enter_context(page_socket(port))

    def open_page(process: TritonProcess, deployment: Deployment) -> str:
        from lnlattennet.bundle._bundle import Bundle

        bundle = Bundle.load(deployment.active.bundle)
        return stack.enter_context(page_address(listening, process.endpoints.grpc, bundle))

    return open_page


def _print_json(process: TritonProcess, deployment: Deployment, health: str | None, page: str | None) -> None:
    at = process.endpoints
    addresses = {"http": at.http, "grpc": at.grpc, "metrics": at.metrics, "health": health, "page": page}
    print_json(addresses | {"model": ENSEMBLE, "pid": process.pid, "deployment": str(deployment.path)})


def _say_nothing(*_: object) -> None:
    """Leave the addresses to the log."""


def _print_addresses(
    process: TritonProcess, deployment: Deployment, health: str | None, page: str | None
) -> None:
    from lnlattennet._console import stderr

    at = process.endpoints
    stderr.print(f"HTTP     {at.http}\ngRPC     {at.grpc}\nmetrics  {at.metrics}", highlight=False)
    if health is not None:
        stderr.print(f"health   {health}/readyz", highlight=False)
    if page is not None:
        stderr.print(f"page     {page}", highlight=False)
    stderr.print(f"try      lnlattennet predict face.jpg --url {at.grpc}", highlight=False, soft_wrap=True)
    stderr.print("Ctrl-C stops the server", highlight=False)
