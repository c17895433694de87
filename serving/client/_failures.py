"""Errors of this package for what a server, a proxy or the network answered instead of a prediction."""

from __future__ import annotations

import re

from lnlattennet.errors import (
    DeadlineError,
    EngineOutputError,
    ImageError,
    LnlAttenNetError,
    OverloadedError,
    ServingError,
    UnreachableError,
)
from lnlattennet.serving.triton._model_names import PUBLIC_MODELS

_FULL = re.compile("maximum queue size|timeout expired|overload|overflow|too many|rate.?limit|quota", re.I)
"""What Triton and proxies say when they have too many requests, where gRPC's status alone does not tell."""

_STOPPING = re.compile("server (is )?(not ready|stopping|exiting)", re.I)

_RESTARTING = re.compile("stub process .* is not healthy|no available versions", re.I)
"""What Triton 2.51 says, as INTERNAL and NOT_FOUND, while a supervisor starts a model again."""

_RESTRICTED = re.compile("is restricted, expecting header", re.I)

_TOO_LARGE = re.compile("larger than max|metadata size exceeds", re.I)

_NO_TEXT = re.compile("client received an empty response from the server", re.I)
"""What tritonclient says of an error without a text."""

_PAGE = re.compile(r"<(!doctype|html)\b", re.I)

_TITLE = re.compile(r"<title>(.*?)</title>", re.I)

_LONGEST_REASON = 500


class Failures:
    """Errors about one server.

    Args:
        url: its address.
        timeout: seconds that a request may take.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout

    def of_grpc(self, status: str, message: str, sends_images: bool) -> LnlAttenNetError:
        """Return the error for a status of gRPC, such as "UNAVAILABLE"."""
        if status == "DEADLINE_EXCEEDED":
            return self.too_slow()
        if status == "CANCELLED":
            return ServingError(f"the request to {self._url} was canceled; its client may have been closed")
        if status == "RESOURCE_EXHAUSTED" and _TOO_LARGE.search(message):
            return self._too_large(message, sends_images)
        if status == "RESOURCE_EXHAUSTED" or (status == "UNAVAILABLE" and _FULL.search(message)):
            return self._overloaded(message, f"gRPC {status}")
        if (status == "UNAVAILABLE" and not _RESTRICTED.search(message)) or _RESTARTING.search(message):
            # No listener, or a server that is stopping.
            return self.no_answer(message)
        if status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
            return self._no_access(message, f"gRPC {status}")
        return self._refused(message, sends_images and status == "INVALID_ARGUMENT")

    def of_http(self, status: str, message: str, sends_images: bool) -> LnlAttenNetError:
        """Return the error for a status of HTTP, such as "503"."""
        if status == "413":
            return self._too_large(message, sends_images)
        if (status == "503" and _STOPPING.search(message)) or _RESTARTING.search(message):
            return self.no_answer(message)
        if status in ("502", "504"):
            # What a proxy answers for a server that does not.
            return self.no_answer(f"{_reason(message)} (HTTP {status})")
        if status in ("401", "403", "407") and not _RESTRICTED.search(message):
            return self._no_access(message, f"HTTP {status}")
        if status in ("429", "503"):
            return self._overloaded(message, f"HTTP {status}")
        return self._refused(message, sends_images and status == "400")

    def no_answer(self, reason: str) -> UnreachableError:
        """Return the error for a server that does not answer."""
        return UnreachableError(
            f"no answer from a Triton server at {self._url}: {_reason(reason)}; "
            "start one with `lnlattennet serve BUNDLE`, read its log, or check the scheme and port of the URL"
        )

    def too_slow(self) -> DeadlineError:
        """Return the error for a request that took too long."""
        return DeadlineError(
            f"the server at {self._url} gave no answer within {self._timeout:g} s; allow more with "
            "--timeout, or check that the server is running: `lnlattennet serve BUNDLE`"
        )

    def _overloaded(self, message: str, status: str) -> OverloadedError:
        return OverloadedError(
            f"the server at {self._url} is overloaded, try again: {_reason(message)} ({status}); if it "
            "happens often, send fewer requests at once"
        )

    def _no_access(self, message: str, status: str) -> ServingError:
        return ServingError(
            f"the server at {self._url}, or a proxy before it, does not let this client in: "
            f"{_reason(message)} ({status}); send its key with headers={{NAME: KEY}} or --header NAME:KEY"
        )

    def _too_large(self, message: str, sends_images: bool) -> ServingError | ImageError:
        error = ImageError if sends_images else ServingError
        return error(
            f"the server at {self._url}, or a proxy before it, takes no requests of this size: "
            f"{_reason(message)}; send fewer images at once, or smaller ones"
        )

    def _refused(self, message: str, about_image: bool) -> ServingError | ImageError:
        reason = _reason(message)
        if _RESTRICTED.search(message):
            return ServingError(
                f"the server at {self._url} lets no client use this: {message}; for shared memory run "
                "`lnlattennet serve BUNDLE --shared-memory`"
            )
        if reason.startswith("engine output "):
            return EngineOutputError(reason)
        if about_image:
            return ImageError(reason)
        return ServingError(
            f"the server at {self._url} refused: {reason}; `lnlattennet serve BUNDLE` serves the models "
            f"{', '.join(map(repr, PUBLIC_MODELS))}, and its log says more"
        )


def _reason(message: str) -> str:
    """Shorten to what helps the person who sent the image: no name of an inner model, no empty id."""
    # Of a proxy's page, which is no JSON, tritonclient reports how it failed to read it.
    text = message.rpartition("\nresponse: ")[2]
    if _NO_TEXT.search(text):
        return "it gave no reason"
    text = " ".join(text.split())
    if _PAGE.match(text):
        title = _TITLE.search(text)
        text = "a page in HTML" + (f", {title[1].strip()!r}" if title else "")
    return re.sub(r"^(in ensemble '[^']*', )*(\[request id: [^]]*\] )?", "", text)[:_LONGEST_REASON]
