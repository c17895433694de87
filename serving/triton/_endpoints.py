"""Endpoints of a server: three ports of one host, checked before anything is started."""

from __future__ import annotations

import errno
import secrets
import socket
from contextlib import ExitStack
from dataclasses import dataclass

from lnlattennet.errors import ServingError, UsageError

_FREE_PORTS = range(20_000, 32_768)
"""Below those that Linux gives to outgoing connections, which take a port that nobody listens on yet."""

_TRIES = 100


@dataclass(frozen=True)
class Endpoints:
    """The IPv4 address that a server binds, and one port per protocol."""

    host: str
    http_port: int
    grpc_port: int
    metrics_port: int

    @property
    def client_host(self) -> str:
        """The host that a client on this machine connects to."""
        return "127.0.0.1" if self.host == "0.0.0.0" else self.host  # noqa: S104

    @property
    def http(self) -> str:
        """URL of the HTTP protocol."""
        return f"http://{self.client_host}:{self.http_port}"

    @property
    def grpc(self) -> str:
        """URL of the gRPC protocol."""
        return f"grpc://{self.client_host}:{self.grpc_port}"

    @property
    def metrics(self) -> str:
        """URL of the Prometheus metrics."""
        return f"http://{self.client_host}:{self.metrics_port}/metrics"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return self.host.startswith("127.")


def choose_endpoints(
    host: str, http_port: int, grpc_port: int, metrics_port: int, health_port: int | None = None
) -> Endpoints:
    """Check three ports of ``host`` and replace each 0 by a free one.

    Args:
        host: address or name of this machine.
        http_port: of the HTTP protocol.
        grpc_port: of the gRPC protocol.
        metrics_port: of Triton's metrics.
        health_port: of the health address, checked as well; None or 0 needs no check.

    Raises:
        UsageError: ``host`` is not an IPv4 address or name of this machine, or two ports are the same.
        ServingError: ports are taken; the message names each with its flag.
    """
    wanted = {"--http-port": http_port, "--grpc-port": grpc_port, "--metrics-port": metrics_port}
    if health_port:
        wanted["--health-port"] = health_port
    fixed = {flag: port for flag, port in wanted.items() if port}
    if len(set(fixed.values())) < len(fixed):
        numbers = ", ".join(f"{flag} {port}" for flag, port in fixed.items())
        raise UsageError(f"the ports must differ, got {numbers}: choose others, or 0 for free ones")
    address = _resolve(host)
    ports, problems = [], []
    with ExitStack() as stack:
        for flag, port in wanted.items():
            # All stay bound until each is known, so that no free port is chosen twice.
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            try:
                ports.append(_bind(sock, address, flag, port))
            except ServingError as error:
                problems.append(str(error))
    if problems:
        raise ServingError("\n".join(problems))
    return Endpoints(address, *ports[:3])


def _bind_free(sock: socket.socket, address: str) -> None:
    """Bind a port that no connection of another program gets while the server starts."""
    for _ in range(_TRIES):
        try:
            sock.bind((address, _FREE_PORTS.start + secrets.randbelow(len(_FREE_PORTS))))
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    sock.bind((address, 0))


def _resolve(host: str) -> str:
    refusal = UsageError(f"--host must be an IPv4 address or a host name, got {host!r}")
    if not host:
        # As of a script's empty variable; the resolver would take every address.
        raise refusal
    # Triton's HTTP service binds addresses only, no names.
    try:
        return socket.gethostbyname(host)
    except (OSError, UnicodeError) as error:  # UnicodeError: a label is empty or longer than 63 letters
        raise refusal from error


def _bind(sock: socket.socket, address: str, flag: str, port: int) -> int:
    # As servers do: a closing connection of an earlier server does not block the port.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if port:
            sock.bind((address, port))
        else:
            _bind_free(sock, address)
    except PermissionError as error:
        raise ServingError(f"port {port} needs privileges: choose one from 1024 on with {flag}") from error
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise UsageError(f"--host must be an address of this machine, got {address}") from error
        raise ServingError(
            f"cannot listen on {address} port {port} ({error.strerror}): "
            f"choose another with {flag}, or 0 for a free one"
        ) from error
    return int(sock.getsockname()[1])
