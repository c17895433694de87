"""Schedulings that are worth measuring on a machine, of all that can be written."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from lnlattennet.serving.triton._scheduling import Scheduling

_DELAY_US = 2000
"""Less than an answer takes on a CPU, more than the time between two requests under load."""


def candidates(cores: int, most_in_flight: int, native: bool, joined: int = 0) -> list[Scheduling]:
    """Return the schedulings to compare, the default first.

    Instances are some shares of the cores, up to half more processes than cores: a process also waits for the
    server. Two is the fewest: with one, Triton may hold many requests for 500 ms.

    Args:
        cores: what the server may use.
        most_in_flight: the largest number of requests in flight at once; a lone one has none to join.
        native: whether the engine runs in a backend of the server's own.
        joined: 0 or 1, the default's.
    """
    counts = sorted({count for count in (2, cores // 2, cores, cores + cores // 2) if count >= 2})
    shares = [Scheduling(instances=count) for count in counts]
    if native:
        pairs = product(counts, (2, 4))
        shares = [Scheduling(instances=count, engine_instances=engines) for count, engines in pairs]
    elif cores > 1:
        # With all cores for each, or on few cores one for each, beside the default's share.
        shares.insert(1, Scheduling(threads=cores if cores > 3 else 1))
    queues: Sequence[tuple[int, int]] = ((joined, 0), (1 - joined, 0), (0, _DELAY_US))
    if most_in_flight == 1:
        queues = queues[:1]
    return [_with_queue(share, joined, delay) for joined, delay in queues for share in shares]


def _with_queue(share: Scheduling, joined: int, delay_us: int) -> Scheduling:
    return Scheduling(share.instances, share.threads, share.engine_instances, joined, delay_us)
