"""Who may ask, how often, and how much: API keys, rates and the sizes of bodies."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request

from lnlattennet.errors import UsageError

_SHORTEST_KEY = 20
_MOST_CLIENTS = 10_000


def read_keys(path: Path) -> tuple[str, ...]:
    """Read API keys, one a line.

    Raises:
        UsageError: the file cannot be read, holds no key, or one that can be guessed.
    """
    try:
        keys = tuple(path.read_text(encoding="ascii").split())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read API keys from {path}: {error}; write one a line, in ASCII") from error
    if not keys or min(map(len, keys)) < _SHORTEST_KEY:
        raise UsageError(
            f"{path} must hold API keys of at least {_SHORTEST_KEY} characters, one a line: make one with "
            "`openssl rand -hex 32`"
        )
    return keys


def find_key(request: Request, keys: Sequence[str]) -> int | None:
    """Return the index of the key that a request carries as ``Authorization: Bearer KEY``.

    Every key is compared, each in constant time, so that durations tell nothing about them.
    """
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    digest = _digest(given.strip())
    matches = [hmac.compare_digest(digest, _digest(key)) for key in keys]
    return matches.index(True) if scheme.lower() == "bearer" and any(matches) else None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@dataclass
class RateLimit:
    """A bucket of tokens for each client: ``rate`` requests a second, and as many at once (at least one)."""

    rate: float
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, client: str) -> None:
        """Count a request of a client.

        Raises:
            HTTPException: 429, with the seconds after which one is taken again.
        """
        now, most = time.monotonic(), max(self.rate, 1.0)
        tokens, since = self._buckets.pop(client, (most, now))
        tokens = min(most, tokens + (now - since) * self.rate)
        self._buckets[client] = (tokens - 1 if tokens >= 1 else tokens, now)
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        if tokens < 1:
            wait = math.ceil((1 - tokens) / self.rate)
            raise HTTPException(429, "too many requests", {"Retry-After": str(wait)})


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """Read a body of at most ``most`` bytes, within ``seconds``.

    Raises:
        HTTPException: 413 too large, by its header or while it comes; 415 compressed; 408 too slow.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "send the image file itself, without Content-Encoding")
    too_large = HTTPException(413, f"an image file may have {most} bytes")
    # The HTTP parser refuses a Content-Length that is no number.
    if int(request.headers.get("content-length", 0)) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise too_large
    except TimeoutError:
        raise HTTPException(
            408, f"the body did not come within {seconds:g} s", {"Connection": "close"}
        ) from None
    return bytes(body)
