"""Connections over gRPC and HTTP, whose failures are errors of this package."""

from __future__ import annotations

import abc
import re
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import (
    EngineOutputError,
    ImageError,
    OverloadedError,
    ServingError,
    UsageError,
    require,
)
from lnlattennet.serving.triton._model_names import PUBLIC_MODELS

Outputs = dict[str, NDArray[Any]]

_URL = re.compile(r"(?P<scheme>grpc|http)://(?P<address>[^/\s@]+:(?P<port>\d{1,5}))/?")
_LARGEST_PORT = 65535
_FULL = re.compile("maximum queue size|timeout expired|overload|overflow|too many|rate.?limit|quota", re.I)
"""What Triton and proxies say when they have too many requests, where gRPC's status alone does not tell."""

_STOPPING = re.compile("server (is )?(not ready|stopping|exiting)", re.I)

_LONGEST_REASON = 500

_SPELLINGS = "grpc://host:port (Triton's default port is 8001) or http://host:port (8000)"


def connect(url: str, timeout: float) -> Connection:
    """Return a connection to ``url``; nothing is sent yet.

    Raises:
        UsageError: the URL is of another form, or the timeout is not positive.
        UnavailableError: tritonclient is not installed.
    """
    match = _URL.fullmatch(url)
    if match is None or int(match["port"]) > _LARGEST_PORT:
        missing = "" if "://" in url else " (the scheme is missing)"
        raise UsageError(f"a server's URL must be {_SPELLINGS}, got {url!r}{missing}")
    if not 0 < timeout < float("inf"):
        raise UsageError(f"the timeout must be a positive number of seconds, got {timeout}")
    protocol = _Grpc if match["scheme"] == "grpc" else _Http
    return protocol(match["address"], timeout)


class Connection(abc.ABC):
    """Connection to a Triton server; subclasses translate the failures of their protocol."""

    _options: Mapping[str, float] = {}
    """Arguments of every call of the client."""

    def __init__(self, url: str, timeout: float, triton: ModuleType, client: Any) -> None:
        self._url = url
        self._timeout = timeout
        self._triton = triton
        self._client = client

    @abc.abstractmethod
    def model_config(self, model: str) -> dict[str, Any]:
        """Return the configuration of ``model``."""

    def infer(
        self,
        model: str,
        images: NDArray[Any],
        outputs: Sequence[str],
        parameters: Mapping[str, float] | None = None,
    ) -> Outputs:
        """Send input ``image`` with parameters, and return the named outputs.

        Args:
            model: name of the served model.
            images: encoded images, object [B, 1], or for the engine normalized faces, float32 [B, 3, S, S].
            outputs: names of the outputs to return.
            parameters: parameters of the request.
        """
        encoded = images.dtype == np.object_
        with self._translated(sends_images=encoded):
            tensor = self._triton.InferInput("image", list(images.shape), "BYTES" if encoded else "FP32")
            tensor.set_data_from_numpy(images)
            requested = [self._triton.InferRequestedOutput(name) for name in outputs]
            reply = self._client.infer(
                model, [tensor], outputs=requested, parameters=parameters, **self._options
            )
        return {name: reply.as_numpy(name) for name in outputs}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    @abc.abstractmethod
    def _translated(self, sends_images: bool = False) -> AbstractContextManager[None]:
        """Turn failures of a call into errors of this package."""


class _Grpc(Connection):
    def __init__(self, address: str, timeout: float) -> None:
        triton = require("tritonclient.grpc", "triton")
        # gRPC would send even requests to this machine through the proxy of `http_proxy`.
        direct = [("grpc.enable_http_proxy", 0)] if _on_this_machine(address) else None
        client = triton.InferenceServerClient(address, channel_args=direct)
        super().__init__(f"grpc://{address}", timeout, triton, client)
        self._options = {"client_timeout": timeout}

    def model_config(self, model: str) -> dict[str, Any]:
        with self._translated():
            reply = self._client.get_model_config(model, as_json=True, **self._options)
        config: dict[str, Any] = reply["config"]
        return config

    @contextmanager
    def _translated(self, sends_images: bool = False) -> Iterator[None]:
        try:
            yield
        except self._triton.InferenceServerException as error:
            status, message = str(error.status()).removeprefix("StatusCode."), error.message()
            if status == "DEADLINE_EXCEEDED":
                raise _too_slow(self._url, self._timeout) from error
            if status == "RESOURCE_EXHAUSTED" and "larger than max" in message:
                raise _too_large(self._url, message, sends_images) from error
            if status == "RESOURCE_EXHAUSTED" or (status == "UNAVAILABLE" and _FULL.search(message)):
                raise _overloaded(self._url, message, f"gRPC {status}") from error
            if status == "UNAVAILABLE":  # no listener, or a server that is stopping
                raise _no_answer(self._url, message) from error
            about_image = status == "INVALID_ARGUMENT" and sends_images
            raise _refused(self._url, message, about_image) from error


class _Http(Connection):
    def __init__(self, address: str, timeout: float) -> None:
        triton = require("tritonclient.http", "triton")
        client = triton.InferenceServerClient(address, connection_timeout=timeout, network_timeout=timeout)
        super().__init__(f"http://{address}", timeout, triton, client)
        # The parser's base class covers a server that hangs up and one that does not speak HTTP.
        self._broken_reply = require("geventhttpclient.response", "triton").HTTPParseError
        self._thread = threading.get_ident()

    def model_config(self, model: str) -> dict[str, Any]:
        with self._translated():
            config: dict[str, Any] = self._client.get_model_config(model)
        return config

    @contextmanager
    def _translated(self, sends_images: bool = False) -> Iterator[None]:
        if threading.get_ident() != self._thread:
            # Its greenlets cannot switch to another thread; gevent would fail at random places.
            raise ServingError(
                "an http:// client works only in the thread that made it; "
                "make one per thread, or share a grpc:// client"
            )
        try:
            yield
        except self._triton.InferenceServerException as error:
            status, message = error.status(), error.message()
            if status == "413":
                raise _too_large(self._url, message, sends_images) from error
            if status == "503" and _STOPPING.search(message):
                raise _no_answer(self._url, message) from error
            if status in ("429", "503"):
                raise _overloaded(self._url, message, f"HTTP {status}") from error
            raise _refused(self._url, message, status == "400" and sends_images) from error
        except TimeoutError as error:
            raise _too_slow(self._url, self._timeout) from error
        # ValueError: the reply is HTTP but not JSON, so another program listens there.
        except (OSError, ValueError, self._broken_reply) as error:
            raise _no_answer(self._url, str(error)) from error


def _on_this_machine(address: str) -> bool:
    """Return whether a program could listen on the host of ``host:port`` here."""
    host = address.rpartition(":")[0].strip("[]")
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


def _no_answer(url: str, reason: str) -> ServingError:
    return ServingError(
        f"no answer from a Triton server at {url}: {reason}; "
        "start one with `lnlattennet serve BUNDLE`, or read its log"
    )


def _too_slow(url: str, timeout: float) -> ServingError:
    return ServingError(
        f"the server at {url} gave no answer within {timeout:g} s; allow more with --timeout, "
        "or check that the server is running: `lnlattennet serve BUNDLE`"
    )


def _overloaded(url: str, message: str, status: str) -> OverloadedError:
    return OverloadedError(
        f"the server at {url} is overloaded, try again: {_reason(message)} ({status}); if it happens often, "
        "send fewer requests at once"
    )


def _too_large(url: str, message: str, sends_images: bool) -> ServingError | ImageError:
    error = ImageError if sends_images else ServingError
    return error(
        f"the server at {url}, or a proxy before it, takes no requests of this size: {_reason(message)}; "
        "send fewer images at once, or smaller ones"
    )


def _reason(message: str) -> str:
    """Shorten to what helps the person who sent the image: no name of an inner model, no empty id."""
    # Of a proxy's page, which is no JSON, tritonclient reports how it failed to read it.
    text = " ".join(message.rpartition("\nresponse: ")[2].split())
    return re.sub(r"^(in ensemble '[^']*', )?(\[request id: [^]]*\] )?", "", text)[:_LONGEST_REASON]


def _refused(url: str, message: str, about_image: bool) -> ServingError | ImageError:
    reason = _reason(message)
    if reason.startswith("engine output "):
        return EngineOutputError(reason)
    if about_image:
        return ImageError(reason)
    return ServingError(
        f"the server at {url} refused: {message}; `lnlattennet serve BUNDLE` serves the models "
        f"{', '.join(map(repr, PUBLIC_MODELS))}, and its log says more"
    )
