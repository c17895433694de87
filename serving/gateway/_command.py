"""Command `lnlattennet gateway`."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import resource
import socket
import ssl
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlattennet._cli_options import LogFormat, Quiet, Verbose
from lnlattennet._command import configure_logging
from lnlattennet.errors import UsageError
from lnlattennet.serving.gateway._packages import require_gateway

if TYPE_CHECKING:
    from lnlattennet.serving.gateway._limits import Limits
    from lnlattennet.serving.gateway._page import PageOptions

_log = logging.getLogger(__name__)

_ORIGIN = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]+)?")


def gateway(
    url: Annotated[str, typer.Option(help="Triton server, grpc:// or http://.")] = "grpc://127.0.0.1:8001",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    keys: Annotated[
        Path | None, typer.Option(help="File of API keys, one a line.", show_default="none")
    ] = None,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Listen on an address of the network without API keys.")
    ] = False,
    certificate: Annotated[
        Path | None, typer.Option(help="PEM file of the certificate, for TLS.", show_default="no TLS")
    ] = None,
    certificate_key: Annotated[
        Path | None, typer.Option(help="PEM file of its private key.", show_default="in --certificate")
    ] = None,
    max_body: Annotated[int, typer.Option(min=1, help="Largest image file, in bytes.")] = 16 * 2**20,
    read_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds in which headers must arrive, and then the image.")
    ] = 10.0,
    rate: Annotated[
        float,
        # Infinity is no number of JSON, in which the page is told of it.
        typer.Option(min=0.01, max=1e6, help="Requests a second of one key, or of one address without one."),
    ] = 20.0,
    timeout: Annotated[float, typer.Option(help="Seconds that Triton may take for one image.")] = 10.0,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Origin whose pages may ask from a browser, such as https://app.example. Repeatable.",
            show_default="none",
        ),
    ] = None,
    page: Annotated[
        bool, typer.Option("--page", help="Offer a page at /page for camera, images and videos.")
    ] = False,
    log_format: LogFormat = "text",
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Answer clients on the network for a Triton server on this machine."""
    configure_logging(verbose, quiet, log_format)
    require_gateway()
    from lnlattennet.serving.gateway._json_log import log_requests
    from lnlattennet.serving.gateway._limits import Limits, read_keys
    from lnlattennet.serving.gateway._listening import listening_socket
    from lnlattennet.serving.gateway._page import PageOptions

    if keys is None and not without_keys and not _is_loopback(host):
        raise UsageError(
            f"--host {host} lets other machines ask: add --keys FILE, or --without-keys if they all may"
        )
    if certificate_key is not None and certificate is None:
        raise UsageError("--certificate-key belongs to a certificate: add --certificate FILE")
    for origin in cors_origin or ():
        if not _ORIGIN.fullmatch(origin):
            raise UsageError(
                f"--cors-origin {origin} is no origin: give scheme and host, and the port if it is no "
                "standard one, such as https://app.example or http://localhost:3000"
            )
    if certificate is not None:
        _check_certificate(certificate, certificate_key)
    limits = Limits(read_keys(keys) if keys else (), max_body, read_timeout, rate, cors_origin or ())
    options: dict[str, Any] = {"ssl_certfile": certificate, "ssl_keyfile": certificate_key}
    if log_format == "json":
        log_requests()
        options["log_config"] = None
    # Connections that wait for their TLS handshake, a minute at most, are in no other limit.
    most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    answering = Event()
    with listening_socket(host, port, "choose others with --host and --port") as listening:
        try:
            asyncio.run(
                _run(listening, answering, url, timeout, limits, options, PageOptions() if page else None)
            )
        except KeyboardInterrupt:
            # uvicorn drains, and raises the signal again.
            if not answering.is_set():
                raise


async def _run(
    listening: socket.socket,
    answering: Event,
    url: str,
    timeout: float,
    limits: Limits,
    options: dict[str, Any],
    page: PageOptions | None,
) -> None:
    from lnlattennet.serving.gateway._server import gateway_server

    async with gateway_server(url, timeout, limits, options, page) as server:
        _log.info("answering on %s port %d", *listening.getsockname()[:2])
        answering.set()
        await server.serve(sockets=[listening])


def _check_certificate(certificate: Path, key: Path | None) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError as error:
        files = f"--certificate {certificate}" + (f" and --certificate-key {key}" if key else "")
        raise UsageError(
            f"{files} must be PEM files of a certificate and of its private key: {error}"
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
