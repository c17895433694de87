"""Share of the CPUs and the memory that a container may use: its control group's limits, of version 2 or 1.

Docker's `--cpus`, Kubernetes' limits and systemd's `CPUQuota` leave all CPUs visible, and stop a process that
used up its share until the next period: threads beyond the share only wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_NO_LIMIT = 2**62
"""Version 1 writes a number near 2**63 where there is no limit."""


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return how many CPUs' time this process may use; None without a limit.

    Args:
        root: folder that holds `proc` and the mount points; for tests.
    """
    return min((quota for folder in _groups(root, "cpu") for quota in _quotas(folder)), default=None)


def memory_limit(root: Path = Path("/")) -> int | None:
    """Return how many bytes of memory this process's group may use; None without a limit.

    Args:
        root: folder that holds `proc` and the mount points; for tests.
    """
    return min(
        (limit for folder in _groups(root, "memory") for limit in _memory_limits(folder)), default=None
    )


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of the groups that this process is in, each with its parents: every limit counts."""
    paths = {}
    for line in _lines(root / "proc/self/cgroup", ":"):
        number, controllers, path = line.split(":", 2)
        if number == "0" or controller in controllers.split(","):
            paths["cgroup2" if number == "0" else "cgroup"] = path
    for line in _lines(root / "proc/self/mountinfo", " - "):
        # A single space divides fields: one, such as the source of a mount, may be empty.
        mount, file_system = (part.split(" ") for part in line.split(" - ", 1))
        if len(mount) < 5 or len(file_system) < 3:
            continue
        kind, _, options = file_system[:3]
        if kind not in paths or (kind == "cgroup" and controller not in options.split(",")):
            continue
        top, point = mount[3:5]
        place = root / point.lstrip("/")
        inside = paths[kind].removeprefix(top.rstrip("/")).strip("/")
        # Seen from inside of a container, the path may be one of the host.
        folder = place / inside if ".." not in inside and (place / inside).is_dir() else place
        while folder != place:
            yield folder
            folder = folder.parent
        yield place


def _quotas(folder: Path) -> Iterator[float]:
    with suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        yield int(quota) / int(period)  # "max" is no number
    with suppress(OSError, ValueError):
        quota, period = (
            (folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period")
        )
        if int(quota) > 0:
            yield int(quota) / int(period)


def _memory_limits(folder: Path) -> Iterator[int]:
    for name in ("memory.max", "memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            limit = int((folder / name).read_text(encoding="ascii"))  # "max" is no number
            if limit < _NO_LIMIT:
                yield limit


def _lines(path: Path, separator: str) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if separator in line]
    except OSError:
        return []
