"""Who may ask, how often, and how much at once: API keys, rates and requests in work."""

from __future__ import annotations

import hashlib
import hmac
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request

from lnlattennet.errors import UsageError

_SHORTEST_KEY = 20
_MOST_CLIENTS = 10_000


@dataclass(frozen=True)
class Limits:
    """What clients may do.

    Attributes:
        keys: API keys; without any, every client may ask.
        body_bytes: largest image file.
        read_seconds: time in which it must arrive.
        rate: requests a second of one key, or of one address without a key.
        origins: origins such as "https://app.example" whose pages may ask.
    """

    keys: Sequence[str]
    body_bytes: int
    read_seconds: float
    rate: float
    origins: Sequence[str] = ()


MOST_AT_ONCE = 128
"""Requests in work: each may hold an image of the largest size."""

MOST_OF_A_CLIENT = 32
"""Of them, those of one client: slow uploads of one keep nobody else out."""


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


@dataclass
class Places:
    """Places for the requests in work, of all clients together and of each."""

    _taken: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def place(self, client: str) -> Iterator[None]:
        """Hold a place.

        Raises:
            HTTPException: 429, the client has too many; 503, all are taken.
        """
        again = {"Retry-After": "1"}
        if self._taken[client] >= MOST_OF_A_CLIENT:
            raise HTTPException(429, "too many requests at once", again)
        if self._taken.total() >= MOST_AT_ONCE:
            raise HTTPException(503, "overloaded, try again", again)
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]


class Admission:
    """Lets clients in by key, rate and places."""

    def __init__(self, limits: Limits) -> None:
        self._keys = limits.keys
        self._rate = RateLimit(limits.rate)
        self._places = Places()

    def place(self, request: Request) -> AbstractContextManager[None]:
        """Hold a place for a request, as long as the context lasts.

        Raises:
            HTTPException: 401, no known key; 429 or 503, too many requests.
        """
        return self._places.place(self.admit(request))

    def admit(self, request: Request) -> str:
        """Return the client that limits are counted for: a key, or else an address.

        Raises:
            HTTPException: 401, no known key; 429, too many requests.
        """
        key = find_key(request, self._keys)
        address = request.client.host if request.client else ""
        client = f"address {address}" if key is None else f"key {key}"
        # Wrong keys count, too: nobody tries them as fast as they can.
        self._rate.take(client)
        if self._keys and key is None:
            raise HTTPException(401, "send Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"})
        return client
