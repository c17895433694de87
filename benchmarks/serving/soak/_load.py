"""Several visitors at once, in rounds, and the count of what they met."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from lnlattennet.benchmarks.serving.soak._expected import Expected, WrongAnswerError
from lnlattennet.benchmarks.serving.soak._visitor import Visitor
from lnlattennet.errors import LnlAttenNetError

_MOST_KEPT = 10
"""Messages that are kept."""


@dataclass
class Tally:
    """What the visitors met.

    Attributes:
        done: kind of visit -> how many ended as they should.
        wrong: how many answers were wrong.
        failed: how many visits had no answer where one is due.
        messages: of the first of them.
    """

    done: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    failed: int = 0
    messages: list[str] = field(default_factory=list)

    def count(self, visit: Callable[[], None]) -> None:
        """Make a visit and note how it ended."""
        kind = getattr(visit, "__name__", "")
        try:
            visit()
        except WrongAnswerError as error:
            self.wrong += 1
            self._keep(f"wrong answer to {kind}: {error}")
        except LnlAttenNetError as error:
            self.failed += 1
            self._keep(f"no answer to {kind}: {error}")
        else:
            self.done[kind] += 1

    def add(self, other: Tally) -> None:
        """Add what another one counted."""
        self.done += other.done
        self.wrong += other.wrong
        self.failed += other.failed
        for message in other.messages:
            self._keep(message)

    def _keep(self, message: str) -> None:
        if len(self.messages) < _MOST_KEPT:
            self.messages.append(message)


def load_round(urls: Mapping[str, str], expected: Expected, clients: int, seconds: float, seed: int) -> Tally:
    """Let visitors come and go for some seconds, each in a thread of its own; all have left at the end."""
    until = time.monotonic() + seconds

    def stay(index: int) -> Tally:
        tally, visitor = Tally(), Visitor(urls, expected, seed * clients + index)
        try:
            while time.monotonic() < until:
                tally.count(visitor.choose())
        finally:
            visitor.close()
        return tally

    total = Tally()
    with ThreadPoolExecutor(clients) as pool:
        for tally in pool.map(stay, range(clients)):
            total.add(tally)
    return total
