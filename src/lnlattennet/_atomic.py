"""Atomic replacement of files and folders: each appears whole or not at all.

Drafts are named before they are created. `tempfile` does it the other way round: a signal in between would
leave a draft that nothing removes.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import logging
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import IO

from lnlattennet.errors import LnlAttenNetError, UsageError

_log = logging.getLogger(__name__)

_NOT_OFFERED = frozenset(
    {
        errno.EACCES,
        errno.EINVAL,
        errno.ENOLCK,
        errno.ENOSYS,
        errno.ENOTTY,
        errno.EOPNOTSUPP,
        errno.EPERM,
    }
)
"""How file systems (SMB, NFS, FUSE, object stores) say that they have no such call.

Not among them: what loses data, such as ENOSPC, EDQUOT and EIO.
"""


def require_outside_bundles(path: Path) -> None:
    """Refuse to write what would damage a bundle: its manifest lists all that may be in it.

    Raises:
        UsageError: ``path`` lies within a bundle.
    """
    for folder in path.resolve().parents:
        if (folder / "manifest.json").is_file() and (folder / "engines").is_dir():
            raise UsageError(
                f"nothing may be written into the bundle {folder}, whose manifest lists all that is in it: "
                "choose a place outside"
            )


def try_folder(folder: Path) -> None:
    """Create ``folder`` and write, move and remove something in it, before long work whose result goes there.

    Permissions alone prove nothing: root has them all, and a file system may still refuse.

    Raises:
        OSError: nothing can be written there, or nothing be moved.
    """
    require_outside_bundles(folder / "trial")
    folder.mkdir(parents=True, exist_ok=True)
    _rehearse(folder / "trial")


@contextmanager
def output_errors(output: Path) -> Iterator[None]:
    """Turn an OSError of the block into a UsageError: ``output`` cannot be written, and another may."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"--output {output} cannot be written ({reason}): choose another") from error


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside ``path``; on success it replaces ``path``, on any error it is removed.

    Raises:
        UsageError: ``path`` lies within a bundle.
    """
    require_outside_bundles(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        temporary.touch(mode=0o600, exist_ok=False)
        yield temporary
        _sync(temporary)
        _set_mode(temporary, 0o666)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def draft_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside ``path``; it is removed at the end unless it was moved elsewhere."""
    draft = _beside(path)
    remove = partial(shutil.rmtree, draft, ignore_errors=True)
    # A signal may also arrive between the yield and the caller's `with`, where no `finally` is in force yet.
    atexit.register(remove)
    try:
        draft.mkdir(mode=0o700)
        yield draft
    finally:
        remove()
        atexit.unregister(remove)


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success it takes the place of ``path``.

    An older folder at ``path`` is moved aside first and put back if the new one cannot be moved in. What the
    file system cannot do shows before the block: some cannot move folders.

    Raises:
        UsageError: ``path`` lies within a bundle.
    """
    require_outside_bundles(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _rehearse(path)
    with draft_folder(path) as draft:
        yield draft
        for file in draft.rglob("*"):
            if file.is_file():
                _sync(file)
        _set_mode(draft, 0o777)
        _swap(draft, path)


@contextmanager
def sole_writer(path: Path, error: type[LnlAttenNetError]) -> Iterator[None]:
    """Lock a file or folder against other writers; remove the drafts that a killed one left beside it.

    The lock is a file beside ``path``; the system frees it when its holder dies, however it dies.

    Raises:
        error: another process is writing there.
        UsageError: ``path`` lies within a bundle.
    """
    require_outside_bundles(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.parent / f".{path.name}.lock"

    def refuse() -> None:
        raise error(f"another process is writing {path}; let it end, or choose another folder")

    with file_lock(lock, refuse):
        try:
            drafts = re.compile(rf"\.{re.escape(path.name)}\.(old\.)?[0-9a-f]{{8}}")
            for draft in path.parent.iterdir():
                if drafts.fullmatch(draft.name):
                    _remove(draft, path)
            yield
        finally:
            lock.unlink(missing_ok=True)


@contextmanager
def file_lock(lock: Path, on_busy: Callable[[], None]) -> Iterator[None]:
    """Hold ``lock`` against other processes; if one of them holds it, call ``on_busy`` and then wait.

    The system frees the lock when its holder dies, however it dies. Where the file system has no locks, a
    warning says so.
    """
    while True:
        with lock.open("a") as stream:
            locked = _optional(
                partial(_acquire, stream, on_busy),
                lock.parent,
                "has no locks: another process that writes there now would not be noticed",
            )
            # Its last holder may have removed the file between our opening and locking it.
            if not locked or (lock.exists() and os.path.samestat(os.fstat(stream.fileno()), lock.stat())):
                yield
                return


def _acquire(stream: IO[str], on_busy: Callable[[], None]) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        on_busy()
        fcntl.flock(stream, fcntl.LOCK_EX)


def _optional(action: Callable[[], object], folder: Path, without: str) -> bool:
    """Do what results do not depend on; warn and return False where the file system does not offer it."""
    try:
        action()
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
        _warn_once(folder, f"{without} ({error.strerror})")
        return False
    return True


@cache
def _warn_once(folder: Path, without: str) -> None:
    _log.warning("the file system of %s %s", folder, without)


def _rehearse(path: Path) -> None:
    """Do beside ``path``, on one byte, what replaces it in the end: a refusal comes before the work."""
    with draft_folder(path) as draft:
        with replace_file(draft / "file") as file:
            file.write_bytes(b"0")
        moved = _beside(path)
        draft.replace(moved)
        moved.replace(draft)
    if path.is_dir():
        # A folder of a container's image cannot be moved: overlayfs answers EXDEV.
        aside = _beside(path, "old.")
        aside.mkdir(mode=0o700)
        try:
            path.replace(aside / path.name)
            (aside / path.name).replace(path)
        finally:
            aside.rmdir()


def _remove(draft: Path, path: Path) -> None:
    if draft.is_dir():
        _put_back(draft, path)
        shutil.rmtree(draft, ignore_errors=True)
    else:
        with suppress(OSError):
            draft.unlink()


def _put_back(draft: Path, path: Path) -> None:
    """Restore the older folder if its writer was killed between moving it aside and moving the new one in."""
    old = draft / path.name
    if draft.name.startswith(f".{path.name}.old.") and old.is_dir() and not path.exists():
        old.rename(path)


def _swap(new: Path, path: Path) -> None:
    if not path.exists():
        new.rename(path)
        return
    aside = _beside(path, "old.")
    old = aside / path.name
    try:
        aside.mkdir(mode=0o700)
        path.rename(old)
        new.rename(path)
    except BaseException:
        # A signal may arrive between any two steps: whatever happened, one of the two must be in place.
        if not path.exists() and old.exists():
            old.rename(path)
        raise
    finally:
        if path.exists():
            shutil.rmtree(aside, ignore_errors=True)


def _beside(path: Path, kind: str = "") -> Path:
    """Return an unused name that ``sole_writer`` recognizes."""
    return path.parent / f".{path.name}.{kind}{secrets.token_hex(4)}"


def _sync(path: Path) -> None:
    """Flush to the disk, so that a full disk shows now and a crash later leaves whole files."""
    # Object stores let nobody open a finished file for writing.
    with path.open("rb") as stream:
        _optional(
            partial(os.fsync, stream.fileno()),
            path.parent,
            "does not say when a file is on the disk: after a power failure it may be damaged",
        )


def _set_mode(path: Path, mode: int) -> None:
    mask = os.umask(0)
    os.umask(mask)
    _optional(
        partial(path.chmod, mode & ~mask), path.parent, "has no permissions to set: files keep those it gives"
    )
