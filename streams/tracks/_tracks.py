"""Rows of a video in order -> the same rows with tracks and smoothed probabilities."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lnlattennet.errors import require
from lnlattennet.model._preprocessing import Box
from lnlattennet.streams._rows import Row
from lnlattennet.streams.tracks._smoothing import Probabilities, Smoother

_OVERLAP = 0.25
"""Intersection over union from which on a box may be that of a track."""

_UPDATE = 1.0
"""How far a track follows a new box. Of 0.25, the tracker's default, 0.5, 0.75 and 1; 1 lost the fewest."""

_SURE = 0.5
"""Score of a box that may begin a track. All boxes are passed with 1: each finder has a scale of its own."""

_LIFE = 1.0
"""Seconds for which a track waits for a face that is hidden or turned away."""

_LONGEST_STEP = 0.4
"""Seconds that count as passed between two frames, at most, so that sparse frames may miss a face, too."""

_LONGEST_GAP = 2.0
"""Seconds between two frames after which nobody knows who is who."""


@dataclass(frozen=True)
class _Person:
    track: int
    smoothed: Probabilities
    time: float


class Tracks:
    """Follows the faces of one source; give it the rows of each frame in order.

    A track ends with its shot, with a face that is not seen for a second, and where frames lie more than 2 s
    apart; its number is not used again. To go on with what an earlier run wrote, give it those rows first:
    it depends on nothing else.

    Args:
        smooth: smooths probabilities by one more frame.

    Raises:
        UnavailableError: the package of the tracker is missing.
    """

    def __init__(self, smooth: Smoother) -> None:
        self._smooth = smooth
        self._byte_track = require("edgefirst.tracker", "video").ByteTrack
        self._numbers = 0
        self._time = 0.0
        self._start(shot=0)

    def __call__(self, rows: Sequence[Row], time: float, shot: int) -> list[Row]:
        """Return the rows of the next frame with track and smoothed probabilities where there is a face.

        Args:
            rows: all rows of one frame.
            time: presentation time of the frame in seconds.
            shot: number of its shot.
        """
        passed = max(time - self._time, 0.0)
        if shot != self._shot or passed > _LONGEST_GAP:
            self._start(shot)
        self._time += passed
        self._clock += min(passed, _LONGEST_STEP)
        names = iter(self._names([row.box for row in rows if row.box is not None]))
        return [row if row.box is None else self._tracked(row, next(names)) for row in rows]

    def _start(self, shot: int) -> None:
        self._shot = shot
        self._clock = 0.0
        self._people: dict[str, _Person] = {}
        self._tracker: Any = self._byte_track(
            high_conf=_SURE, iou=_OVERLAP, update=_UPDATE, lifespan_ns=round(_LIFE * 1e9)
        )

    def _names(self, boxes: Sequence[Box]) -> list[str | None]:
        """Return the tracker's name for whom each box shows."""
        count = len(boxes)
        found = self._tracker.update(
            np.array(boxes, np.float32).reshape(count, 4),
            np.ones(count, np.float32),
            np.zeros(count, np.uintp),
            round(self._clock * 1e9),
        )
        alive = {track.info.uuid for track in self._tracker.get_active_tracks()}
        self._people = {name: person for name, person in self._people.items() if name in alive}
        return [None if track is None else track.uuid for track in found]

    def _tracked(self, row: Row, name: str | None) -> Row:
        if name is None or row.probabilities is None:
            return row
        raw = np.array(row.probabilities, np.float32)
        if (person := self._people.get(name)) is None:
            person = _Person(self._numbers, self._smooth(None, raw, 0.0), self._time)
            self._numbers += 1
        else:
            smoothed = self._smooth(person.smoothed, raw, self._time - person.time)
            person = _Person(person.track, smoothed, self._time)
        self._people[name] = person
        return dataclasses.replace(row, track=person.track, smoothed=tuple(person.smoothed.tolist()))
