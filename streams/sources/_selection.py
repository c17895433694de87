"""Frames of a video or camera that are asked for."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from lnlattennet.errors import UsageError

_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?)")


@dataclass(frozen=True)
class Selection:
    """Which frames of a source are judged.

    Attributes:
        every: one of this many frames, the first one included.
        start: seconds of the first frame.
        end: seconds before which the last frame is; None takes all.

    Raises:
        UsageError: a value is out of range, or the end is not after the start.
    """

    every: int = 1
    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise UsageError(f"--every must be at least 1, got {self.every}")
        if self.end is not None and self.end <= self.start:
            raise UsageError(f"--end must be after --start, got {self.end:g} s after {self.start:g} s")

    def holds(self, index: int, time: float) -> bool:
        """Return whether the frame of this number and time is asked for; ``is_over`` tells of the end."""
        return index % self.every == 0 and time >= self.start

    def is_over(self, time: float) -> bool:
        """Return whether no frame from this time on is asked for."""
        return self.end is not None and time >= self.end


def parse_time(text: str) -> float:
    """Return the seconds of ``90``, ``90.5``, ``1:30`` or ``0:01:30``.

    Raises:
        UsageError: the text is no such time.
    """
    match = _CLOCK.fullmatch(text.strip())
    hours, minutes, seconds = (float(part or 0) for part in match.groups()) if match else (0, 0, math.nan)
    has_minutes, has_hours = text.count(":") > 0, text.count(":") > 1
    # 1:75 is a slip, and 75 alone is not.
    if math.isnan(seconds) or (has_minutes and seconds >= 60) or (has_hours and minutes >= 60):
        raise UsageError(f"a time must be seconds, MM:SS or HH:MM:SS, got {text!r}")
    return 3600 * hours + 60 * minutes + seconds
