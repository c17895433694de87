"""Cache on disk of the faces that a finder found, so that no image is searched twice.

An entry's key is a digest of the image's pixels: it holds wherever the file lies and whatever it is called,
and an edited image is searched again. Margin and size are applied afterwards. Faces that are to be aligned
have a file of their own, since their landmarks were searched for more exactly.
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lnlattennet._cache_folder import cache_folder
from lnlattennet._version import __version__
from lnlattennet.data._duplicates import image_digest
from lnlattennet.images.finders._base import FoundFace

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")
_PATIENCE = 30
"""Seconds to wait for another process that is writing."""


class KnownFaces:
    """Faces that one version of a finder found, by image; for many threads and processes at once.

    A damaged file is made anew. Where none can be written a warning says so once, and nothing is kept.

    Args:
        finder: its name.
        version: its version.
        exact_landmarks: whether it took the time to place landmarks well enough to align by them.
    """

    def __init__(self, finder: str, version: str, *, exact_landmarks: bool = False) -> None:
        # This project's own part of a finder changes with its version.
        name = re.sub(r"[^0-9A-Za-z.-]", "_", f"{finder}-{version}-{__version__}")
        suffix = "-exact-landmarks" if exact_landmarks else ""
        self._path = cache_folder("faces") / f"{name}{suffix}.sqlite"
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._usable = True

    def get(self, image: NDArray[np.uint8], find: Callable[[], Sequence[FoundFace]]) -> list[FoundFace]:
        """Return the faces in ``image`` [H, W, 3], searched by ``find`` if they are not known yet."""
        key = image_digest(image)
        rows = self._attempt(
            lambda database: database.execute("SELECT faces FROM found WHERE image = ?", (key,)).fetchall()
        )
        known = _read(rows[0][0]) if rows else None
        if known is not None:
            return known
        faces = list(find())
        row = (key, json.dumps([[face.box, face.score, face.landmarks] for face in faces]))
        self._attempt(lambda database: database.execute("INSERT OR REPLACE INTO found VALUES (?, ?)", row))
        return faces

    def _attempt(self, action: Callable[[sqlite3.Connection], _Result]) -> _Result | None:
        """Return the result of ``action``, after a repair if need be; None where nothing can be kept."""
        with self._lock:
            for damaged in (False, True) if self._usable else ():
                try:
                    if self._database is None:
                        self._database = _open(self._path)
                    return action(self._database)
                except (sqlite3.Error, OSError) as error:
                    self._database = None
                    _log.log(
                        logging.WARNING if damaged else logging.INFO,
                        "the cache of found faces %s cannot be used: %s",
                        self._path,
                        error,
                    )
                    if not damaged and type(error) is sqlite3.DatabaseError:
                        self._path.unlink(missing_ok=True)
            self._usable = False
        return None


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Each statement is its own transaction, so that a process may be killed at any time. Only a power failure
    # can damage the file, which is then made anew: waiting for the disk would cost more than a search.
    database = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("CREATE TABLE IF NOT EXISTS found (image BLOB PRIMARY KEY, faces TEXT) WITHOUT ROWID")
    return database


def _read(text: str) -> list[FoundFace] | None:
    """Return the faces of an entry; None if it is damaged."""
    try:
        return [
            FoundFace(tuple(box), score, landmarks and tuple(map(tuple, landmarks)))
            for box, score, landmarks in json.loads(text)
        ]
    except (TypeError, ValueError):
        return None
