"""What the kernel tells of a server's processes, the server itself and those of its python models."""

from __future__ import annotations

import os
from pathlib import Path


def group_members(group: int) -> list[int]:
    """Return the processes of a process group that are alive."""
    found = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
    return [pid for pid in found if is_member(pid, group)]


def is_member(pid: int, group: int) -> bool:
    """Whether a process is alive (a zombie is not) and of a group; numbers of dead ones are given again."""
    state, _, of_group = _stat(pid)[:3]
    return state not in "ZX" and int(of_group) == group


def model_of(pid: int) -> str:
    """Return the model whose python code a process runs; "" for the server itself."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    # DEPLOYMENT/loaded/MODEL/VERSION/model.py
    files = [Path(os.fsdecode(argument)) for argument in arguments if argument.endswith(b"/model.py")]
    return files[0].parts[-3] if files else ""


def has_work(pid: int) -> bool:
    """Return whether a thread of a process runs, or waits for a core or a disk."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:  # it has ended, perhaps just now
        return False
    return any(_stat_line(thread / "stat")[0] in "RD" for thread in threads)


def cpu_ticks(pid: int) -> int:
    """Return the CPU time that a process has used, in ticks of the kernel; 0 of a dead one."""
    user, system = _stat(pid)[11:13]
    return int(user) + int(system)


def _stat(pid: int) -> list[str]:
    return _stat_line(Path(f"/proc/{pid}/stat"))


def _stat_line(path: Path) -> list[str]:
    """Return the fields of a stat file behind the name (state, parent, group, ...); of none "X", zeros."""
    try:
        # "pid (name) state ...": the name may hold spaces, parentheses and, cut at 15 bytes, half a letter.
        return path.read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ["X", *["0"] * 12]
