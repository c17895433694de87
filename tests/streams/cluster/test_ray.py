"""`score` on a real Ray of two nodes on this machine, while workers, a node and the driver are killed."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lnlattennet.errors import UnreachableError, UsageError
from lnlattennet.streams.cluster._ray import connected
from lnlattennet.streams.cluster._score import ScoreOptions, ScoreResult, score
from tests.streams.cluster.scoring import jpeg, score_here

IMAGES, SHARD = 240, 6


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images, some of them the same, some unreadable."""
    folder = tmp_path_factory.mktemp("cluster") / "faces"
    folder.mkdir()
    some = [*(jpeg(seed) for seed in range(5)), b"no image"]
    for number in range(IMAGES):
        (folder / f"{number:04}.jpg").write_bytes(some[number % len(some)])
    return folder


@pytest.fixture(scope="module")
def parts(faces: Path, bundle_path: Path) -> dict[str, bytes]:
    """The table as this process alone makes it."""
    out = faces.parent / "alone"
    score_here(bundle_path, [str(faces)], str(out), SHARD)
    return parts_of(out)


def parts_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("part-*.parquet"))}


def workers_below(process: int) -> list[int]:
    """The processes of a raylet that score."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            title = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == process and b"ShardScorer" in title:
            found.append(int(folder.name))
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A head with one CPU; tests add and kill nodes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        # A node that is silent for a second is dead; by default it takes half a minute.
        checks = {"initial_delay_ms": 0, "period_ms": 500, "failure_threshold": 2, "timeout_ms": 500}
        head = {
            "num_cpus": 1,
            "object_store_memory": 80 * 2**20,
            "include_dashboard": False,
            "_system_config": {f"health_check_{name}": value for name, value in checks.items()},
        }
        made = Cluster(initialize_head=True, head_node_args=head)
        yield made
        made.shutdown()  # type: ignore[no-untyped-call]


def options(faces: Path, bundle: Path, out: Path, cluster: str) -> ScoreOptions:
    return ScoreOptions(
        sources=[str(faces)], bundle=bundle, output=str(out), cluster=cluster, workers=2, shard_images=SHARD
    )


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_killed_worker_and_a_killed_node_leave_the_same_table(
    cluster: Any, faces: Path, bundle_path: Path, parts: dict[str, bytes], tmp_path: Path
) -> None:
    node = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    head = cluster.head_node.all_processes["raylet"][0].process.pid
    raylet = node.all_processes["raylet"][0].process.pid
    left: list[int] = []

    def kill(result: ScoreResult) -> None:
        if result.done == 2:
            for worker in workers_below(head):
                os.kill(worker, signal.SIGKILL)
        if not left and (workers := workers_below(raylet)) and result.done >= 4:
            left.append(len(parts) - len(parts_of(tmp_path / "out")))
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
            cluster.remove_node(node, allow_graceful=False)

    result = score(options(faces, bundle_path, tmp_path / "out", cluster.address), kill)
    assert left[0] > 0
    assert (result.images, result.unreadable) == (IMAGES, IMAGES // 6)
    assert parts_of(tmp_path / "out") == parts
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["_manifest.json", *parts]


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_killed_run_is_gone_on_with(
    cluster: Any, faces: Path, bundle_path: Path, parts: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-P", "-m", "lnlattennet", "score", faces, "--bundle", bundle_path, "-o", out]
    command += ["--shard", SHARD, "--cluster", cluster.address, "--workers", 1, "--resume"]
    # What a killed process leaves there goes with the test.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    for stop, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        before = len(parts_of(out))
        with subprocess.Popen(
            [*map(str, command)],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            while len(parts_of(out)) < before + 2:
                assert process.poll() is None, process.communicate()
                time.sleep(0.02)
            process.send_signal(stop)
            stdout, stderr = process.communicate(timeout=60)
            assert process.returncode == code
            assert not stdout
        assert b"Traceback" not in stderr, stderr.decode()
        # Whole parts only, also when the worker was stopped while it wrote.
        assert parts_of(out).items() <= parts.items()
    done = len(parts_of(out))
    assert 4 <= done < len(parts)
    result = score(
        ScoreOptions(**(options(faces, bundle_path, out, cluster.address).__dict__ | {"resume": True}))
    )
    assert result.done_before >= done
    assert result.done == len(parts) - result.done_before
    assert parts_of(out) == parts
    again = score(ScoreOptions(**(options(faces, bundle_path, out, "auto").__dict__ | {"resume": True})))
    assert (again.done, again.done_before) == (0, len(parts))


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_ctrl_c_while_the_shards_are_started_does_not_start_ray_again(
    cluster: Any, faces: Path, bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray Data's executor asks Ray when it is freed; after Ray's end, that starts a new one."""
    import ray.data

    def interrupted(dataset: Any) -> None:
        executing = dataset._execute_to_iterator()
        next(executing[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(ray.data.Dataset, "iter_rows", interrupted)
    with contextlib.suppress(KeyboardInterrupt):
        score(options(faces, bundle_path, tmp_path / "out", cluster.address))
    gc.collect()
    assert not ray.is_initialized()


def test_an_address_that_does_not_answer_is_refused() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with (
            pytest.raises(UnreachableError, match=f"no Ray cluster answers at {address}"),
            connected(address, 1),
        ):
            pass
    for wrong in ("ray://host:10001", "host", "host:port"):
        with pytest.raises(UsageError, match="must be local, auto or HOST:PORT"), connected(wrong, 1):
            pass
