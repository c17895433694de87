"""Folders from which programs may be run and compiled code may be loaded."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lnlattennet.errors import UnavailableError

_NEW_SECONDS = 60
_PLAIN = re.compile(r"[A-Za-z0-9_./+@%:,=-]+")


def forbids_programs(folder: Path) -> bool:
    """Return whether ``folder`` is on a file system mounted `noexec`; no library loads from it either."""
    return bool(os.statvfs(folder).f_flag & os.ST_NOEXEC)


def is_plain(path: Path | str) -> bool:
    """Return whether a shell takes a path as one word."""
    return _PLAIN.fullmatch(str(path)) is not None


def program_folder() -> str:
    """Return a temporary folder with a plain name that may hold programs: ``$TMPDIR``, else a usual one.

    Raises:
        UnavailableError: there is none.
    """
    usable = (folder for folder in _temporary_folders() if is_plain(folder) and not forbids_programs(folder))
    found = next(usable, None)
    if found is None:
        raise UnavailableError(
            f"no temporary folder may hold programs: {tempfile.gettempdir()!r} is mounted noexec, or has "
            "characters other than letters, digits and _./+@%:,=-; set TMPDIR to a folder where programs run"
        )
    return str(found)


@contextmanager
def temporary_program_folder(prefix: str) -> Iterator[Path]:
    """Make a temporary folder that may hold programs, and remove it at the end.

    Folders of the same prefix that killed processes left behind are removed first.
    """
    parent = Path(program_folder())
    for folder in parent.glob(f"{prefix}*"):
        _remove_if_abandoned(folder)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as name, locked(Path(name)):
        yield Path(name)


@contextmanager
def locked(folder: Path, shared: bool = False) -> Iterator[bool]:
    """Hold the lock of a folder, which ends with the process; yield whether it was free.

    Args:
        folder: one that exists.
        shared: leave it free for others that hold it so: who only looks whether it is held.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _remove_if_abandoned(folder: Path) -> None:
    # A new folder may not be locked yet; another user's cannot be opened or removed.
    with suppress(OSError):
        if time.time() - folder.stat().st_mtime > _NEW_SECONDS:
            with locked(folder) as free:
                if free:
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def temporary_files_in(folder: str) -> Iterator[None]:
    """Let libraries that follow ``$TMPDIR`` write to ``folder`` meanwhile."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = folder
    try:
        yield
    finally:
        del os.environ["TMPDIR"]
        if before is not None:
            os.environ["TMPDIR"] = before


def _temporary_folders() -> Iterator[Path]:
    for name in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108
        if Path(name).is_dir() and os.access(name, os.W_OK | os.X_OK):
            yield Path(name)
