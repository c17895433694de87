"""The user's cache folder: what can be made again, kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """Return folder ``name`` of ``$LNLATTENNET_CACHE``, else of `lnlattennet` in the user's cache folder.

    That is ``$XDG_CACHE_HOME`` or ``~/.cache``.
    """
    own, shared = (os.environ.get(variable) for variable in ("LNLATTENNET_CACHE", "XDG_CACHE_HOME"))
    if own:
        return Path(own).absolute() / name
    return (Path(shared) if shared else _home() / ".cache") / "lnlattennet" / name


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # as for a container's user without an entry in /etc/passwd
        return Path("/")
