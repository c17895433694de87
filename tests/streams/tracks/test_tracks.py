"""Tracks: one number for one person, whatever the faces do; the truth is how the boxes were made."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lnlattennet.streams._rows import Row
from lnlattennet.streams.tracks._names import Smoothing
from lnlattennet.streams.tracks._smoothing import smoother
from lnlattennet.streams.tracks._tracks import Tracks

RATE = 30
SMOOTH = smoother(Smoothing.EXPONENTIAL, 0.5)


def row(left: float, top: float = 50, side: float = 80, sure: float = 0.9) -> Row:
    return Row(
        source="film.mp4",
        status="ok",
        box=(left, top, left + side, top + side),
        probabilities=(sure, 1 - sure),
        model_hash="",
        preprocessing_id="",
    )


NOBODY = Row(source="film.mp4", status="no_face", model_hash="", preprocessing_id="")


def followed(frames: list[list[Row]], shots: list[int] | None = None, rate: float = RATE) -> list[list[Row]]:
    tracks = Tracks(SMOOTH)
    return [tracks(rows, index / rate, shots[index] if shots else 0) for index, rows in enumerate(frames)]


def numbers(frames: list[list[Row]], face: int = 0) -> set[int | None]:
    return {rows[face].track for rows in frames}


def test_people_who_move_keep_their_numbers_in_any_order() -> None:
    rng = np.random.default_rng(0)
    frames = []
    for index in range(90):
        pair = [row(20 + 3 * index + rng.normal(0, 1.5)), row(500 - 2 * index, top=250)]
        frames.append(pair if index % 3 else pair[::-1])
    tracked = followed(frames)
    by_top: dict[float, set[int | None]] = {}
    for rows in tracked:
        for face in rows:
            assert face.box is not None
            by_top.setdefault(face.box[1], set()).add(face.track)
    assert by_top == {250: {0}, 50: {1}}


def test_who_is_hidden_for_half_a_second_keeps_the_number() -> None:
    frames = [[row(100 + index)] if not 30 <= index < 45 else [NOBODY] for index in range(75)]
    tracked = followed(frames)
    assert numbers(tracked[:30]) == numbers(tracked[45:]) == {0}
    assert numbers(tracked[30:45]) == {None}


def test_who_comes_back_after_seconds_is_somebody_else() -> None:
    frames = [[row(100)]] * 30 + [[NOBODY]] * 60 + [[row(100)]] * 30
    tracked = followed(frames)
    assert numbers(tracked[:30]) == {0}
    assert numbers(tracked[90:]) == {1}


def test_a_cut_ends_every_track() -> None:
    tracked = followed([[row(100)]] * 20, shots=[0] * 10 + [1] * 10)
    assert numbers(tracked[:10]) == {0}
    assert numbers(tracked[10:]) == {1}
    assert tracked[10][0].smoothed == pytest.approx((0.9, 0.1))


@pytest.mark.parametrize(("seconds", "people"), [(1.0, {0}), (3.0, {0, 1, 2, 3})])
def test_sparse_frames_are_followed_up_to_two_seconds_apart(seconds: float, people: set[int]) -> None:
    assert numbers(followed([[row(100)]] * 4, rate=1 / seconds)) == people


def test_probabilities_are_smoothed_along_the_track() -> None:
    frames = [[row(100 + index, sure=0.9 if index < 30 else 0.1)] for index in range(60)]
    smoothed = [rows[0].smoothed for rows in followed(frames)]
    expected = np.array([0.9, 0.1], np.float32)
    for index, found in enumerate(smoothed):
        raw = np.array(frames[index][0].probabilities)
        expected = expected + (1 - np.exp(-1 / RATE / 0.5)) * (raw - expected)
        assert found == pytest.approx(tuple(expected), abs=1e-5)


def test_rows_of_an_earlier_run_lead_to_the_same_tracks() -> None:
    rng = np.random.default_rng(1)
    frames = [[row(20 + 3 * i + rng.normal(0, 2)), row(300 - 3 * i)] for i in range(60)]
    whole = followed(frames)
    tracks = Tracks(SMOOTH)
    for index, rows in enumerate(whole[:37]):
        assert tracks(rows, index / RATE, 0) == rows
    rest = [tracks(frames[index], index / RATE, 0) for index in range(37, 60)]
    assert rest == whole[37:]


def test_rows_without_a_face_stay_as_they_are() -> None:
    assert Tracks(SMOOTH)([NOBODY], 0.0, 0) == [NOBODY]
    assert Tracks(SMOOTH)([], 0.0, 0) == []
    (tracked,) = Tracks(SMOOTH)([row(5)], 0.0, 0)
    assert dataclasses.replace(tracked, track=None, smoothed=None) == row(5)
