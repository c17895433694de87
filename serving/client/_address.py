"""Addresses of servers."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Any

from lnlattennet.errors import UsageError

_URL = re.compile(
    r"(?P<protocol>grpc|http)(?P<secure>s?)://"
    r"(?P<location>(?P<host>[^][/?#@:,\s]+|\[(?P<ipv6>[0-9a-fA-F:.]+(%[\w.-]+)?)\]):(?P<port>[0-9]{1,5}))/?",
    re.IGNORECASE,
)
_PASSWORD = re.compile("(?<=//)[^/]*@")
_LARGEST_PORT = 65535

_SPELLINGS = (
    "grpc://host:port (Triton's default port is 8001) or http://host:port (8000), "
    "with TLS grpcs://host:port or https://host:port"
)


@dataclass(frozen=True)
class Address:
    """Where a server is.

    Attributes:
        protocol: "grpc" or "http".
        secure: whether the connection is encrypted.
        location: host:port.
    """

    protocol: str
    secure: bool
    location: str

    def __str__(self) -> str:
        return f"{self.protocol}{'s' if self.secure else ''}://{self.location}"


def parse_url(url: str) -> Address:
    """Return the address that a URL names.

    Raises:
        UsageError: the URL is of another form.
    """
    match = _URL.fullmatch(url) if isinstance(url, str) else None
    if match is None or not 1 <= int(match["port"]) <= _LARGEST_PORT or not _is_host(match):
        raise UsageError(f"a server's URL must be {_SPELLINGS}, got {_described(url)}")
    return Address(match["protocol"].lower(), bool(match["secure"]), match["location"])


def _is_host(match: re.Match[str]) -> bool:
    try:
        if match["ipv6"]:
            ipaddress.IPv6Address(match["ipv6"])
        else:
            match["host"].encode("idna")
    except ValueError:  # a label of a name is empty or longer than 63 letters
        return False
    return True


def _described(url: object) -> str:
    if not isinstance(url, str):
        return type(url).__name__
    if "://" not in url:
        return f"{url!r} (the scheme is missing)"
    hidden = _PASSWORD.sub("...@", url)
    return f"{hidden!r}" + (" (a name and password belong in a header)" if hidden != url else "")


def is_on_this_machine(location: str) -> bool:
    """Return whether a program could listen on the host of ``host:port`` here."""
    host = location.rpartition(":")[0].strip("[]")
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except OSError:  # perhaps a name that only the proxy knows
        return False
    return all(_is_own(family, sockaddr) for family, _, _, _, sockaddr in found)


def _is_own(family: int, sockaddr: Any) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        try:
            trial.bind(sockaddr)
        except OSError:
            return False
    return True
