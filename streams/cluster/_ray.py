"""Ray: a cluster that is there, or one of this machine, and the shards on it by Ray Data."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import socket
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lnlattennet.errors import ServingError, UnreachableError, UsageError, require
from lnlattennet.machine._hardware import usable_cpus

if TYPE_CHECKING:
    from lnlattennet.streams.cluster._shards import Shard
    from lnlattennet.streams.cluster._worker import Job, ShardResult

_STORE_BYTES = 128 * 2**20
"""Ray's shared memory on this machine: through it go names of shards and the bundle, no images."""

_CONNECT_SECONDS = 5
_ATTEMPTS = 4
"""Workers that a shard may end. An image that kills its worker would go on for ever."""


@contextmanager
def connected(cluster: str, workers: int | None) -> Iterator[int]:
    """Connect to a cluster for the length of a ``with`` block; yield how many workers it is to have.

    Args:
        cluster: "local" starts one of this machine and ends it; "auto" or HOST:PORT is one that is there.
        workers: None for as many as the cluster has CPUs.

    Raises:
        UnavailableError: Ray is not installed.
        UnreachableError: no cluster answers there.
        UsageError: the address has another form.
    """
    # Ray would report to its makers that it was started, and complain of what Ray Data does.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    require("ray.data", "cluster")
    import ray

    handler = signal.getsignal(signal.SIGTERM)
    with (
        tempfile.TemporaryDirectory(prefix="lnl-ray-", ignore_cleanup_errors=True) as folder,
        # Ray prints there what happens to nodes; it is for results.
        contextlib.redirect_stdout(sys.stderr),
    ):
        try:
            # Its workers import what the driver's current folder holds.
            with contextlib.chdir(folder):
                _connect(cluster, workers, folder)
            signal.signal(signal.SIGTERM, handler)
            yield workers or int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
        except BaseException as error:
            # Where Ctrl-C came between two of Ray Data's steps, only these frames hold its executor. Freed
            # after Ray's end, it would ask Ray something, and Ray would start again by itself.
            traceback.clear_frames(error.__traceback__)
            raise
        finally:
            ray.shutdown()


def _connect(cluster: str, workers: int | None, folder: str) -> None:
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if cluster == "local":
        ray.init(
            address="local",
            num_cpus=workers or usable_cpus(),
            num_gpus=0,
            include_dashboard=False,
            object_store_memory=_STORE_BYTES,
            _temp_dir=folder,
            **quiet,
        )
        return
    if cluster != "auto":
        _require_answer(cluster)
    try:
        ray.init(address=cluster, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UnreachableError(
            f"no Ray cluster can be joined by --cluster {cluster}: {error}; run this on a node of it, or as "
            "a job: ray job submit"
        ) from error


def _require_answer(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in address:
        raise UsageError(f"--cluster must be local, auto or HOST:PORT of the cluster's head, got {address}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UnreachableError(
            f"no Ray cluster answers at {address}: {error}; `ray status` on its head tells the address"
        ) from error


class _Attempts:
    """Counts in a process of its own how often each shard was begun, which no dying worker can tell."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, shard: int) -> bool:
        """Return whether a shard may be tried once more."""
        self._begun[shard] += 1
        return self._begun[shard] <= _ATTEMPTS


def _may_begin() -> Callable[[int], bool]:
    """Start the counter; return a function for the workers that asks it."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # On another node it would die with that node, and the run with it; without this node there is no run.
    here: Any = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(num_cpus=0, scheduling_strategy=here)(_Attempts).remote()
    return lambda shard: bool(ray.get(actor.begin.remote(shard)))


def run_shards(job: Job, shards: Mapping[int, Shard], workers: int) -> Iterator[ShardResult]:
    """Score shards on the cluster; yield what became of each, in the order that they end in.

    A shard whose worker dies is scored again, by another one, unless it ended several workers.

    Args:
        job: what the workers do.
        shards: number -> shard.
        workers: how many.

    Raises:
        ServingError: the cluster went away.
    """
    import ray
    import ray.data

    from lnlattennet.streams.cluster._worker import ShardResult, ShardScorer

    for name in ("ray.data", "ray.train"):
        logging.getLogger(name).setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    items = [{"shard": number, "content": pickle.dumps(shard)} for number, shard in shards.items()]
    results = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        ShardScorer,
        fn_constructor_args=(job, _may_begin()),
        batch_size=1,
        num_cpus=1,
        # One shard waits at each worker, so that none is ever idle.
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(items)), max_tasks_in_flight_per_actor=2),
    )
    try:
        for row in results.iter_rows():
            yield ShardResult(**row)
    except ray.exceptions.RayError as error:
        raise ServingError(f"the cluster failed: {str(error).strip().splitlines()[-1]}") from error
