"""Packages that the gateway needs beside those of a client."""

from __future__ import annotations

from lnlattennet.errors import require


def require_gateway() -> None:
    """Raise UnavailableError, with the extra that brings it, if a package of the gateway is missing."""
    for package in ("uvicorn", "httptools", "starlette", "python_multipart"):
        require(package, "gateway")
