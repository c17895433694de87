"""Connections that run a dialog with a server, in a thread or in asyncio's loop."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import closing
from typing import Any, TypeVar

from lnlattennet.errors import LnlAttenNetError, ServingError
from lnlattennet.serving.client._calls import Call, Dialog, Pause
from lnlattennet.serving.client._protocols import Protocol

_Result = TypeVar("_Result")


class Connection:
    """A connection whose calls block."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._client = protocol.open()
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
                call = next(dialog)
                while True:
                    try:
                        answer = self._answer(call)
                    except LnlAttenNetError as error:
                        call = dialog.throw(error)
                    else:
                        call = dialog.send(answer)
            except StopIteration as end:
                result: _Result = end.value
                return result

    def _answer(self, call: Call | Pause) -> Any:
        if isinstance(call, Pause):
            return time.sleep(call.seconds)
        with self._protocol.translated(call.about_images):
            return call.read(self._protocol, call.start(self._protocol, self._client))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class AsyncConnection:
    """A connection of asyncio's running loop."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._client = protocol.open_async()

    async def run(self, dialog: Dialog[_Result]) -> _Result:
        """Make the calls of a dialog, and return what it returns."""
        with closing(dialog):
            try:
                call = next(dialog)
                while True:
                    try:
                        answer = await self._answer(call)
                    except LnlAttenNetError as error:
                        call = dialog.throw(error)
                    else:
                        call = dialog.send(answer)
            except StopIteration as end:
                result: _Result = end.value
                return result

    async def _answer(self, call: Call | Pause) -> Any:
        if isinstance(call, Pause):
            return await asyncio.sleep(call.seconds)
        with self._protocol.translated(call.about_images):
            async with asyncio.timeout(call.timeout):
                return call.read(self._protocol, await call.start(self._protocol, self._client))

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()
