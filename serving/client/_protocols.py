"""What differs between gRPC and HTTP: how tritonclient is called, and what its failures mean.

The libraries of tritonclient have the same methods for both, and for asyncio.
"""

from __future__ import annotations

import abc
import asyncio
import functools
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType
from typing import Any

from lnlattennet.errors import UsageError, require
from lnlattennet.serving.client._address import Address, is_on_this_machine, parse_url
from lnlattennet.serving.client._arguments import check_timeout, checked_headers
from lnlattennet.serving.client._failures import Failures
from lnlattennet.serving.client._tls import TLSConfig

_LARGEST_MESSAGE = 2**31 - 1


def choose_protocol(
    url: str, timeout: float, headers: Mapping[str, str] | None, tls: TLSConfig | None
) -> Protocol:
    """Return the protocol of a URL; nothing is sent yet.

    Raises:
        UsageError: the URL is of another form, the timeout or a header breaks a rule, or certificates are
            given for a connection without encryption.
        UnavailableError: tritonclient is not installed.
    """
    address = parse_url(url)
    check_timeout(timeout)
    if tls is not None and not address.secure:
        raise UsageError(f"certificates need an encrypted connection: grpcs:// or https://, got {url!r}")
    chosen = _Grpc if address.protocol == "grpc" else _Http
    return chosen(address, timeout, checked_headers(headers), tls or TLSConfig())


class Protocol(abc.ABC):
    """How to talk to one server."""

    triton: ModuleType
    """Library of tritonclient that has the tensors of a request."""

    config_options: Mapping[str, Any] = {}
    """Arguments of ``get_model_config``."""

    bound_to_thread = False
    """Whether the client that ``open`` gives works only in the thread that made it."""

    def __init__(self, address: Address, timeout: float, headers: dict[str, str], tls: TLSConfig) -> None:
        self.timeout = timeout
        self.failures = Failures(str(address), timeout)
        self._address = address
        self._headers = headers
        self._tls = tls

    def options(self, timeout: float) -> dict[str, Any]:
        """Return the arguments of every call that may take ``timeout`` seconds."""
        # A copy: the HTTP client adds to it.
        return {"headers": dict(self._headers)}

    @abc.abstractmethod
    def open(self) -> Any:
        """Return a client of tritonclient."""

    @abc.abstractmethod
    def open_async(self) -> Any:
        """Return its asyncio client; call it in the running loop."""

    @abc.abstractmethod
    def translated(self, sends_images: bool) -> AbstractContextManager[None]:
        """Turn failures of a call into errors of this package."""

    def read_config(self, reply: Any) -> dict[str, Any]:
        """Return the configuration in an answer to ``get_model_config``."""
        config: dict[str, Any] = reply
        return config

    def read_version(self, response: Any) -> str:
        """Return the version of the model that gave a response; "" if it does not say."""
        return str(response.get("model_version", ""))


class _Grpc(Protocol):
    config_options: Mapping[str, Any] = {"as_json": True}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.triton = require("tritonclient.grpc", "triton")
        self._headers = {name.lower(): value for name, value in self._headers.items()}

    def options(self, timeout: float) -> dict[str, Any]:
        return {**super().options(timeout), "client_timeout": timeout}

    def open(self) -> Any:
        return self._opened(self.triton)

    def open_async(self) -> Any:
        return self._opened(require("tritonclient.grpc.aio", "triton"))

    def _opened(self, library: ModuleType) -> Any:
        channel = [
            ("grpc.max_send_message_length", _LARGEST_MESSAGE),
            ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
            # A server that was restarted is found again within a second, not within up to two minutes.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
            # Shared with the client of the process that this one was forked from, a connection is a dead one.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if is_on_this_machine(self._address.location):
            # gRPC would send even requests to this machine through the proxy of `http_proxy`.
            channel.append(("grpc.enable_http_proxy", 0))
        secure = {
            "ssl": True,
            "root_certificates": self._tls.ca,
            "certificate_chain": self._tls.certificate,
            "private_key": self._tls.key,
        }
        return library.InferenceServerClient(
            self._address.location, channel_args=channel, **(secure if self._address.secure else {})
        )

    @contextmanager
    def translated(self, sends_images: bool) -> Iterator[None]:
        try:
            yield
        except self.triton.InferenceServerException as error:
            status = str(error.status()).removeprefix("StatusCode.")
            raise self.failures.of_grpc(status, error.message(), sends_images) from error
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            # Nobody canceled the task: gRPC's asyncio client says so of a connection that was closed.
            raise self.failures.of_grpc("CANCELLED", "", sends_images) from error
        except TimeoutError as error:  # asyncio's, when gRPC's own deadline comes at the same moment
            raise self.failures.too_slow() from error

    def read_config(self, reply: Any) -> dict[str, Any]:
        return super().read_config(reply["config"])

    def read_version(self, response: Any) -> str:
        return str(response.model_version)


class _Http(Protocol):
    bound_to_thread = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.triton = require("tritonclient.http", "triton")
        self._broken = (
            OSError,
            ValueError,  # the reply is HTTP but not JSON, so another program listens there
            RecursionError,  # or JSON without end
            # The parser's base class covers a server that hangs up and one that does not speak HTTP.
            require("geventhttpclient.response", "triton").HTTPParseError,
            require("aiohttp", "triton").ClientError,
        )

    def open(self) -> Any:
        _let_gevent_fork()
        gevent_ssl = require("gevent.ssl", "triton")
        return self.triton.InferenceServerClient(
            self._address.location,
            connection_timeout=self.timeout,
            network_timeout=self.timeout,
            ssl=self._address.secure,
            # It would be given authorities of the library's own.
            ssl_context_factory=lambda **_: self._tls.context(gevent_ssl),
        )

    def open_async(self) -> Any:
        library = require("tritonclient.http.aio", "triton")
        context = self._tls.context() if self._address.secure else None
        # The caller limits the time of each call.
        return library.InferenceServerClient(
            self._address.location, conn_timeout=None, ssl=self._address.secure, ssl_context=context
        )

    @contextmanager
    def translated(self, sends_images: bool) -> Iterator[None]:
        try:
            yield
        except self.triton.InferenceServerException as error:
            raise self.failures.of_http(error.status(), error.message(), sends_images) from error
        except TimeoutError as error:
            raise self.failures.too_slow() from error
        except self._broken as error:
            raise self.failures.no_answer(str(error) or type(error).__name__) from error


@functools.cache
def _let_gevent_fork() -> None:
    """Let a process that is forked off open connections: what waits for them must be made anew in it."""
    os.register_at_fork(after_in_child=require("gevent", "triton").reinit)
