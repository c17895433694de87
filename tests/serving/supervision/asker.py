"""A client that asks one model again and again while something happens to its server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lnlattennet.serving import Client
from lnlattennet.serving.triton._model_names import ENSEMBLE


class Asker(threading.Thread):
    """Asks one model over one transport until it is told to stop, and keeps what it is told."""

    def __init__(
        self, url: str, ask: Callable[[Client], Any], model: str = ENSEMBLE, retries: int = 0
    ) -> None:
        super().__init__()
        self.url, self.ask, self.model, self.retries = url, ask, model, retries
        self.answers: list[Any] = []
        self.error: BaseException | None = None
        self.ended = threading.Event()

    def run(self) -> None:
        try:
            with Client(self.url, self.model, timeout=60, retries=self.retries) as client:
                while not self.ended.is_set():
                    self.answers.append(self.ask(client))
                    # Leave the server time to load.
                    time.sleep(0.02)
        except BaseException as error:
            self.error = error


@contextmanager
def asking(askers: Sequence[Asker]) -> Iterator[None]:
    """Let them ask during the block, from the first answer of each on."""
    for asker in askers:
        asker.start()
    try:
        while not all(asker.answers or asker.error for asker in askers):
            time.sleep(0.01)
        yield
    finally:
        for asker in askers:
            asker.ended.set()
        for asker in askers:
            asker.join()
    for asker in askers:
        if asker.error is not None:
            raise AssertionError(f"{asker.model} at {asker.url}") from asker.error
