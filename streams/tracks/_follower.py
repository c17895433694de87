"""Tracks of several sources that come one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from lnlattennet.streams._frame import Frame
from lnlattennet.streams._rows import Row
from lnlattennet.streams.tracks._smoothing import Smoother
from lnlattennet.streams.tracks._tracks import Tracks


class Follower:
    """Adds tracks to the rows of videos and cameras; rows of image files stay as they are.

    Args:
        smooth: smooths probabilities by one more frame.

    Raises:
        UnavailableError: the package of the tracker is missing.
    """

    def __init__(self, smooth: Smoother) -> None:
        self._smooth = smooth
        self._source: str | None = None
        self._index = -1

    def __call__(self, frame: Frame, rows: Sequence[Row]) -> Sequence[Row]:
        """Return all rows of one frame with tracks; a source's frames must come in order, and together."""
        if frame.time is None:
            return rows
        index = frame.index or 0
        # A source that is named twice begins anew.
        if frame.source != self._source or index <= self._index:
            self._source, self._tracks = frame.source, Tracks(self._smooth)
        self._index = index
        return self._tracks(rows, frame.time, frame.shot)
