"""Listening socket of the gateway, and of the page beside a server."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from lnlattennet.errors import ServingError


@contextmanager
def listening_socket(host: str, port: int, remedy: str) -> Iterator[socket.socket]:
    """Listen at one address, for the length of the block.

    Args:
        host: name or address; of a name that has both, the IPv4 address is taken.
        port: 0 takes a free one.
        remedy: end of the error's sentence.

    Raises:
        ServingError: the port is taken, or the host is not this machine.
    """
    try:
        family, _, _, _, address = min(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        listening = socket.create_server(address, family=family)
    except (OSError, UnicodeError) as error:
        raise ServingError(f"cannot listen on {host} port {port} ({_reason(error)}): {remedy}") from error
    with listening:
        # asyncio would set it only on a socket that names its protocol; a connection has it from here.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listening


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "a part of the name is empty or longer than 63 letters"
    # The text of create_server has the address once more.
    return str(error.strerror) if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
