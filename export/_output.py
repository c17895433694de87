"""Where a bundle may be written, and what the operating system's refusals mean."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lnlattennet.bundle._manifest import MANIFEST_NAME
from lnlattennet.errors import BundleError


def check_output(output: Path, *, force: bool) -> None:
    """Refuse an output that would overwrite something, before any work is done.

    Raises:
        BundleError: ``output`` exists without ``force``, is not a bundle, holds the current folder, or lies
            where nothing can be written.
    """
    try:
        whole = output.resolve()
        whole.exists()
    except (OSError, RuntimeError) as error:
        raise BundleError(f"-o {output} cannot be a folder: {error}; choose another") from error
    if Path.cwd().is_relative_to(whole):
        raise BundleError(f"-o {output} is the current folder or holds it; choose a folder of its own")
    parent = next(folder for folder in whole.parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise BundleError(f"-o {output}: {parent} is not a folder that can be written to; choose another")
    if whole.exists() and not (whole.is_dir() and os.access(whole, os.R_OK) and not any(whole.iterdir())):
        if not (whole / MANIFEST_NAME).is_file():
            raise BundleError(f"-o {output} exists and is not a bundle; choose another folder")
        if not force:
            raise BundleError(f"-o {output} is a bundle already; pass --force to replace it")


@contextmanager
def write_errors(output: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into an error that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise BundleError(
                f"-o {output}: the disk is full ({error.strerror}); nothing was written, free space or "
                "choose another folder"
            ) from error
        reason = f"cannot be written ({error.strerror or error}); choose another folder"
        raise BundleError(f"-o {output} {reason}") from error
