"""CPUs and memory that a process may use: limits of control groups, and the variable that overrides them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lnlattennet.errors import ConfigError
from lnlattennet.machine import _hardware
from lnlattennet.machine._control_group import cpu_quota, memory_limit
from lnlattennet.machine._hardware import limit_threads, usable_cpus
from tests.machine.programs import run

V2 = "31 24 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw"
V1 = "32 24 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
BESIDE = "33 24 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset"
MEMORY_V1 = "34 24 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
DOCKER_V1 = "32 24 0:29 /docker/ab /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct"
UNIFIED = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"


def write_groups(root: Path, groups: str | None, mounts: str | None, files: dict[str, str]) -> None:
    own = root / "proc" / "self"
    own.mkdir(parents=True)
    if groups is not None:
        (own / "cgroup").write_text(groups + "\n")
        (own / "mountinfo").write_text(f"{mounts}\n")
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
        file.with_name("cpu.cfs_period_us").write_text("100000\n")


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "expected"),
    [
        ("0::/", V2, {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", V2, {"cpu.max": "max 100000"}, None),
        ("0::/", V2, {}, None),
        ("0::/", V2, {"cpu.max": "nonsense"}, None),
        ("0::/a/b", V2, {"a/cpu.max": "100000 100000", "a/b/cpu.max": "300000 100000"}, 1),
        ("0::/a/b", V2, {"a/cpu.max": "max 100000", "a/b/cpu.max": "50000 100000"}, 0.5),
        ("0::/../../host", V2, {"cpu.max": "200000 100000"}, 2),
        ("0::/gone", V2, {"cpu.max": "200000 100000"}, 2),
        ("4:cpu,cpuacct:/", f"{BESIDE}\n{V1}", {"cpu,cpuacct/cpu.cfs_quota_us": "-1"}, None),
        ("4:cpu,cpuacct:/", f"{BESIDE}\n{V1}", {"cpu,cpuacct/cpu.cfs_quota_us": "250000"}, 2.5),
        ("4:cpu,cpuacct:/x", V1, {"cpu,cpuacct/x/cpu.cfs_quota_us": "100000"}, 1),
        ("4:cpu,cpuacct:/docker/ab", DOCKER_V1, {"cpu,cpuacct/cpu.cfs_quota_us": "300000"}, 3),
        ("4:cpu,cpuacct:/\n0::/", f"{V1}\n{UNIFIED}", {"cpu,cpuacct/cpu.cfs_quota_us": "100000"}, 1),
        ("0::/", V2.replace("cgroup2 cgroup2", "cgroup2 "), {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", f"30 24 0:25 / /mnt rw - tmpfs\n{V2}", {"cpu.max": "150000 100000"}, 1.5),
        ("", "", {}, None),
        (None, None, {}, None),
    ],
)
def test_quotas_of_both_versions(
    tmp_path: Path, groups: str | None, mounts: str | None, files: dict[str, str], expected: float | None
) -> None:
    write_groups(tmp_path, groups, mounts, files)
    assert cpu_quota(tmp_path) == expected


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "expected"),
    [
        ("0::/", V2, {"memory.max": "max"}, None),
        ("0::/a/b", V2, {"a/memory.max": "1000000", "a/b/memory.max": "max"}, 1_000_000),
        ("4:memory:/x", MEMORY_V1, {"memory/x/memory.limit_in_bytes": "9223372036854771712"}, None),
        ("4:memory:/x\n3:cpu:/y", MEMORY_V1, {"memory/x/memory.limit_in_bytes": "2000000"}, 2_000_000),
        (None, None, {}, None),
    ],
)
def test_limits_of_memory(
    tmp_path: Path, groups: str | None, mounts: str | None, files: dict[str, str], expected: int | None
) -> None:
    write_groups(tmp_path, groups, mounts, files)
    assert memory_limit(tmp_path) == expected


@pytest.mark.parametrize(("quota", "cpus"), [(None, 4), (0.2, 1), (1.0, 1), (1.5, 2), (3.9, 4), (16.0, 4)])
def test_quotas_are_rounded_up_and_never_exceed_what_is_visible(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, cpus: int
) -> None:
    monkeypatch.delenv("LNLATTENNET_THREADS", raising=False)
    monkeypatch.setattr(_hardware, "cpu_quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2, 4, 6})
    assert usable_cpus() == cpus


def test_the_variable_overrides_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LNLATTENNET_THREADS", "17")
    assert usable_cpus() == 17


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²"])
def test_a_wrong_number_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LNLATTENNET_THREADS", value)
    with pytest.raises(ConfigError, match="must be a number from 1 on"):
        usable_cpus()


def test_libraries_that_count_cpus_are_told_and_the_user_has_the_last_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        monkeypatch.setenv(name, "9")
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("LNLATTENNET_THREADS", raising=False)
    monkeypatch.setattr(_hardware, "cpu_quota", lambda: 1.5)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    limit_threads()
    assert [os.environ[name] for name in ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")] == ["3", "2"]


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_engines_take_so_many_threads(
    bundle_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    """Counted in a process of its own: those of a pool are started when the engine is loaded."""
    code = (
        "import sys; from pathlib import Path; from lnlattennet.bundle._bundle import Bundle\n"
        "import numpy as np; from os import listdir\n"
        "run = Bundle.load(sys.argv[1]).runner(sys.argv[2])\n"
        "run({'image': np.zeros((4, 3, 48, 48), np.float32)}); print(len(listdir('/proc/self/task')))"
    )
    counts = []
    for threads in ("1", "2"):
        monkeypatch.setenv("LNLATTENNET_THREADS", threads)
        done = run(sys.executable, "-c", code, bundle_path, f"{backend}-fp32")
        assert done.returncode == 0, done.stderr
        counts.append(int(done.stdout))
    assert counts[1] - counts[0] == 1
