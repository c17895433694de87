"""Rules of the arguments that a client is made with; nothing is sent before they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lnlattennet.errors import UsageError
from lnlattennet.serving.triton._model_names import ENSEMBLE, FUSED

_MOST_RETRIES = 10
LONGEST_TIMEOUT = 86_400
"""A day. Beyond some hundred years gRPC ends a request at once."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What HTTP and gRPC take as a name."""

_OWN_HEADERS = re.compile(
    "content-(length|encoding)|transfer-encoding|connection|inference-header-content-length|grpc-.*|.*-bin",
    re.I,
)
"""They say how a request is sent: with others a server waits for bytes that never come."""


def check_model(model: Any) -> None:
    """Raise UsageError if a client cannot ask a model for the largest face."""
    if not isinstance(model, str) or (model not in (ENSEMBLE, FUSED) and model.startswith(ENSEMBLE)):
        raise UsageError(
            f"a client's model is {ENSEMBLE!r} or {FUSED!r}, got {model!r}; faces, crops and streams "
            "have methods: predict(images, max_faces=N), predict_crops, stream"
        )


def check_timeout(timeout: Any) -> None:
    """Raise UsageError if a timeout is not a number of seconds above 0 and within a day."""
    if not (isinstance(timeout, int | float) and 0 < timeout <= LONGEST_TIMEOUT):
        raise UsageError(
            f"the timeout must be a positive number of seconds, at most {LONGEST_TIMEOUT}, got {timeout!r}"
        )


def check_retries(retries: Any) -> None:
    """Raise UsageError if a number of retries is out of range."""
    if not (isinstance(retries, int) and 0 <= retries <= _MOST_RETRIES):
        raise UsageError(f"retries must be a whole number from 0 to {_MOST_RETRIES}, got {retries!r}")


def checked_headers(headers: Any) -> dict[str, str]:
    """Return headers of every request, none for None.

    Raises:
        UsageError: they are no mapping of names to texts, or one of them says how a request is sent.
    """
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise UsageError(f"headers must be a mapping of names to texts, got {type(headers).__name__}")
    for name, value in headers.items():
        if not all(isinstance(part, str) and part.isascii() and part.isprintable() for part in (name, value)):
            raise UsageError(
                f"a header must be a name and a text in printable ASCII, got {name!r}: {value!r}"
            )
        if not _HEADER_NAME.fullmatch(name):
            raise UsageError(f"a header's name has letters, digits and !#$%&'*+-.^_`|~ only, got {name!r}")
        if _OWN_HEADERS.fullmatch(name):
            raise UsageError(f"the client itself says how a request is sent; leave out the header {name!r}")
    return dict(headers)
