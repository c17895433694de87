"""What `predict` does with videos and cameras beyond what it does with images."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnlattennet._command import on_one_line
from lnlattennet.errors import UsageError
from lnlattennet.streams._frame import Frame
from lnlattennet.streams._overlay_video import overlay_video
from lnlattennet.streams._rows import Row
from lnlattennet.streams._run import Stage
from lnlattennet.streams.cli._overlay_paths import check_overlay_video
from lnlattennet.streams.sources._camera import is_camera, shown_address
from lnlattennet.streams.sources._files import Files
from lnlattennet.streams.sources._frames import moves
from lnlattennet.streams.sources._selection import Selection
from lnlattennet.streams.tracks._follower import Follower
from lnlattennet.streams.tracks._names import Smoothing
from lnlattennet.streams.tracks._smoothing import smoother

_log = logging.getLogger(__name__)

_BATCH = 2
"""Frames of a video that a process is given at a time: eight of a large video would take gigabytes."""


@dataclass(frozen=True)
class Kinds:
    """What the names of a run stand for, as far as they are known before it: those of ``@-`` are read later.

    Attributes:
        images: how many are image files.
        moving: names of videos and cameras.
    """

    images: int
    moving: tuple[str, ...]

    @classmethod
    def of(cls, files: Files) -> Kinds:
        """Read all names once."""
        names = files if files.repeatable else [name for name in files.arguments if name != "@-"]
        images, moving = 0, []
        for name in names:
            if moves(name):
                moving.append(name)
            else:
                images += 1
        return cls(images, tuple(moving))

    @property
    def has_camera(self) -> bool:
        """Whether one is a camera."""
        return any(map(is_camera, self.moving))


@dataclass(frozen=True)
class Moving:
    """How videos and cameras are read and followed.

    Attributes:
        selection: the frames that are asked for.
        smoothing: how probabilities are smoothed.
        time_constant: its seconds.
        overlay: video to draw to, if wanted.
    """

    selection: Selection
    smoothing: Smoothing
    time_constant: float
    overlay: Path | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What changes rows, as a table records it."""
        return {
            "every": self.selection.every,
            "start": self.selection.start,
            "end": self.selection.end,
            "smooth": self.smoothing.value,
            "time_constant": self.time_constant,
        }

    @contextmanager
    def stage(self) -> Iterator[Stage]:
        """Open what adds tracks to rows, and draws frames if that is wanted."""
        follow = Follower(smoother(self.smoothing, self.time_constant))
        if self.overlay is None:
            yield follow
            return
        with overlay_video(self.overlay) as video:

            def follow_and_draw(frame: Frame, rows: Sequence[Row]) -> Sequence[Row]:
                rows = follow(frame, rows)
                video.draw(frame, rows)
                return rows

            yield follow_and_draw
        if video.is_begun:
            _log.info("wrote %s", on_one_line(self.overlay))
        else:
            _log.warning("no frame was there to be drawn: %s is not written", on_one_line(self.overlay))


def check_moving(files: Files, kinds: Kinds, moving: Moving, output: Path | None, resume: bool) -> None:
    """Raise UsageError if an option does not go with the sources that are given."""
    if kinds.moving and output is None:
        name = on_one_line(shown_address(kinds.moving[0]))
        raise UsageError(f"{name} has a row for every frame: add --output FILE")
    if resume and kinds.has_camera:
        raise UsageError("--resume needs the same frames again, which a camera does not have; begin anew")
    if not 0 < moving.time_constant < math.inf:
        raise UsageError(f"--time-constant must be above 0 s and finite, got {moving.time_constant:g}")
    if moving.selection != Selection() and not kinds.moving and files.repeatable:
        raise UsageError("--every, --start and --end choose frames of videos and cameras; there is none")
    if moving.overlay is not None:
        check_overlay_video(moving.overlay, files)


def batch_of(kinds: Kinds, usual: int) -> int:
    """Return how many frames a process is given at a time: of a camera one, so that rows come at once."""
    if kinds.has_camera:
        return 1
    return _BATCH if kinds.moving else usual
