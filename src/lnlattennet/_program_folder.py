"""Folders from which programs may be run and compiled code may be loaded."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lnlattennet.errors import UnavailableError

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
