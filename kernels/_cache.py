"""Where built libraries are kept: a folder per user, shared by processes that may build at the same time."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lnlattennet.errors import LnlAttenNetError

_ELF_HEADER = 64
"""Bytes."""


def cache_folder() -> Path:
    """Return ``$LNLATTENNET_CACHE``, else ``lnlattennet`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    own, shared = (os.environ.get(name) for name in ("LNLATTENNET_CACHE", "XDG_CACHE_HOME"))
    if own:
        return Path(own).absolute() / "kernels"
    return (Path(shared) if shared else _home() / ".cache") / "lnlattennet" / "kernels"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # as for a container's user that no password file knows
        return Path("/")


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Create ``folder``; an error of the file system, then or inside, says which folder to replace.

    Raises:
        LnlAttenNetError: the folder cannot be created or written, or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise LnlAttenNetError(
            f"the kernels' cache folder {folder} cannot be used ({error.strerror or error}); set "
            "LNLATTENNET_CACHE to a folder that can be written"
        ) from error


@contextmanager
def exclusive(lock: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold ``lock`` against other processes; calls ``waiting`` if one of them has it.

    The system gives the lock back when its holder dies, however it dies.
    """
    with lock.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def is_whole(library: Path) -> bool:
    """Return whether a library's file holds all that its header promises; loading a part kills the process.

    Segments are what is loaded; the table of sections ends what a linker writes, but not a file that was
    patched later (ELF-64 specification, sections "ELF header" and "Program header").
    """
    with library.open("rb") as stream:
        header = stream.read(_ELF_HEADER)
        if len(header) < _ELF_HEADER or header[:5] != b"\x7fELF\x02":
            return False
        segments_at, sections_at = struct.unpack_from("<QQ", header, 32)
        segment_size, segments, section_size, sections = struct.unpack_from("<HHHH", header, 54)
        stream.seek(segments_at)
        table = stream.read(segment_size * segments)
    ends: list[int] = [sections_at + section_size * sections, segments_at + segment_size * segments]
    # Every segment's place in the file, its two addresses in memory, and its size in the file.
    for start in range(0, len(table) - segment_size + 1, segment_size):
        offset, _, _, size = struct.unpack_from("<QQQQ", table, start + 8)
        ends.append(offset + size)
    return library.stat().st_size >= max(ends)
