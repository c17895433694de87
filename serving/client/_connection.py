"""Connections that run a dialog with a server, in a thread or in asyncio's loop."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import closing
from typing import Any, TypeVar

from lnlattennet.errors import LnlAttenNetError, ServingError, UsageError
from lnlattennet.serving.client._calls import Call, Dialog, Pause
from lnlattennet.serving.client._protocols import Protocol

_Result = TypeVar("_Result")


class Connection:
    """A connection whose calls block."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._client: Any = protocol.open()
        self._thread = threading.get_ident() if protocol.bound_to_thread else None

    def run(self, dialog: Dialog[_Result]) -> _Result:
        """Make the calls of a dialog, and return what it returns."""
        if self._thread not in (None, threading.get_ident()):
            # Its greenlets cannot switch to another thread; gevent would fail at random places.
            raise ServingError(
                "an http:// client works only in the thread that made it; "
                "make one per thread, or share a grpc:// client"
            )
        with closing(dialog):
            try:
                call, begun = next(dialog), False
                while True:
                    try:
                        answer = self._answer(call, begun)
                    except LnlAttenNetError as error:
                        call = dialog.throw(error)
                    else:
                        call = dialog.send(answer)
                    begun = True
            except StopIteration as end:
                result: _Result = end.value
                return result

    def _answer(self, call: Call | Pause, begun: bool) -> Any:
        if isinstance(call, Pause):
            return time.sleep(call.seconds)
        with self._protocol.translated(call.about_images):
            return call.read(self._protocol, call.start(self._protocol, _opened(self._client, begun)))

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


class AsyncConnection:
    """A connection of asyncio's running loop."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._client: Any = protocol.open_async()
        self._loop = asyncio.get_running_loop()

    async def run(self, dialog: Dialog[_Result]) -> _Result:
        """Make the calls of a dialog, and return what it returns."""
        with closing(dialog):
            try:
                call, begun = next(dialog), False
                while True:
                    try:
                        answer = await self._answer(call, begun)
                    except LnlAttenNetError as error:
                        call = dialog.throw(error)
                    else:
                        call = dialog.send(answer)
                    begun = True
            except StopIteration as end:
                result: _Result = end.value
                return result

    async def _answer(self, call: Call | Pause, begun: bool) -> Any:
        if isinstance(call, Pause):
            return await asyncio.sleep(call.seconds)
        if asyncio.get_running_loop() is not self._loop:
            raise UsageError("an AsyncClient works only in the event loop that opened it; open one per loop")
        client = _opened(self._client, begun)
        with self._protocol.translated(call.about_images):
            async with asyncio.timeout(call.timeout):
                return call.read(self._protocol, await call.start(self._protocol, client))

    async def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _opened(client: Any, begun: bool) -> Any:
    """Return the client; it may have been closed before a dialog began, or between two of its calls."""
    if client is not None:
        return client
    if begun:
        raise ServingError("the client was closed before all was answered")
    raise UsageError("this client is closed; make another")
