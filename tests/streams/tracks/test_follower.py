"""Tracks of several sources: each has people of its own, and image files have none."""

from __future__ import annotations

import dataclasses

from lnlattennet.streams._frame import Frame
from lnlattennet.streams._rows import Row
from lnlattennet.streams.tracks._follower import Follower
from lnlattennet.streams.tracks._names import Smoothing
from lnlattennet.streams.tracks._smoothing import smoother

FACE = Row(
    source="a.mp4",
    status="ok",
    box=(20, 20, 100, 100),
    probabilities=(0.9, 0.1),
    model_hash="",
    preprocessing_id="",
)


def test_each_source_has_its_own_tracks_and_image_files_none() -> None:
    follow = Follower(smoother(Smoothing.EXPONENTIAL, 0.5))
    rows = [FACE, dataclasses.replace(FACE, box=(300, 20, 380, 100))]
    first = follow(Frame("a.mp4", 0, 0.0), rows)
    assert [row.track for row in first] == [0, 1]
    assert follow(Frame("face.jpg"), rows) == rows
    assert [row.track for row in follow(Frame("a.mp4", 1, 0.03), rows[1:])] == [1]
    assert [row.track for row in follow(Frame("b.mp4", 0, 0.0), rows)] == [0, 1]
    assert [row.track for row in follow(Frame("b.mp4", 1, 0.03, shot=1), rows)] == [2, 3]


def test_a_source_that_is_named_twice_is_followed_anew() -> None:
    follow = Follower(smoother(Smoothing.EXPONENTIAL, 0.5))
    other = dataclasses.replace(FACE, probabilities=(0.1, 0.9))
    frames = [(Frame("a.mp4", 0, 0.0), FACE), (Frame("a.mp4", 1, 0.5), other)]
    once = [follow(frame, [row]) for frame, row in frames]
    assert once[1][0].smoothed != other.probabilities
    assert [follow(frame, [row]) for frame, row in frames] == once
