"""Shares, transitions, dwell times, gaps: values worked out by hand, and what always holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnlattennet.errors import DataError
from lnlattennet.streams._rows import Row
from lnlattennet.streams.timeline._order import sorted_by_time
from lnlattennet.streams.timeline._person import Gap
from tests.streams.timeline.tables import NAMES, SURE, empty, film, only, seen, studied

HAPPY, NEUTRAL, SAD = range(3)


def test_shares_weigh_by_time_and_not_by_frames() -> None:
    """Frames of 1, 1, 3 and 1 s; the last one lasts for the median."""
    times = [0.0, 1.0, 2.0, 5.0]
    labels = ["happiness", "happiness", "neutral", "sadness"]
    figures = only(studied(map(seen, times, labels)))
    assert figures.raw.seconds.tolist() == [2, 3, 1]
    assert figures.seen == 6
    assert (figures.first, figures.last) == (0, 6)


def test_transitions_and_dwells() -> None:
    """A frame a second: h h n h s s s."""
    labels = ["happiness", "happiness", "neutral", "happiness", "sadness", "sadness", "sadness"]
    figures = only(studied(seen(float(t), label) for t, label in enumerate(labels)))
    sequence = figures.raw
    assert sequence.transitions.tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert [sorted(counts.elements()) for counts in sequence.durations] == [[1, 2], [1], [3]]
    assert sequence.cut.tolist() == [1, 0, 1]  # the first dwell of happiness, and the last of sadness
    assert [(dwell.start, dwell.duration) for dwell in sequence.longest if dwell] == [(0, 2), (2, 1), (4, 3)]
    assert figures.neighbors_agree == 3 / 6
    assert sequence.quantile(HAPPY, 0.5) == 1


def test_a_gap_is_time_without_the_face_and_ends_a_dwell() -> None:
    """Ten frames a second; no face from 1.0 to 1.5 s, and then the same expression goes on."""
    rows = [empty(t / 10) if 10 <= t < 15 else seen(t / 10, "happiness") for t in range(30)]
    found = studied(rows)
    figures = only(found)
    assert figures.seen == pytest.approx(2.5)
    assert figures.gaps == [Gap(1.0, 0.5)]
    assert figures.gap_seconds == pytest.approx(0.5)
    assert figures.raw.dwells(HAPPY) == figures.raw.cut[HAPPY] == 2
    assert figures.raw.pairs == 23  # 9 and 14: none across the gap
    assert not figures.raw.transitions.any()
    assert found.sources[0].without_face == pytest.approx(0.5)


def test_time_without_frames_belongs_to_nobody() -> None:
    """A camera of ten frames a second goes away for a minute after 2 s."""
    times = [t / 10 for t in range(20)] + [62 + t / 10 for t in range(20)]
    found = studied(seen(time, "happiness") for time in times)
    figures = only(found)
    assert figures.seen == pytest.approx(4.0)
    assert found.sources[0].shown == pytest.approx(4.0)
    assert figures.gaps == [Gap(pytest.approx(2.0), pytest.approx(60.0))]  # type: ignore[arg-type]


def test_the_first_interval_may_be_the_one_without_frames() -> None:
    times = [0.0] + [60 + t / 10 for t in range(20)]
    assert only(studied(seen(time, "happiness") for time in times)).seen == pytest.approx(2.1)


def test_one_frame_in_a_minute_is_no_gap_where_all_are_like_that() -> None:
    assert only(studied(seen(60.0 * t, "happiness") for t in range(5))).seen == 300


@pytest.mark.parametrize("status", ["too_small", "low_score"])
def test_a_doubtful_face_is_a_gap(status: str) -> None:
    rows = [seen(float(t), "happiness", status=status if t in (3, 4) else "ok") for t in range(10)]
    figures = only(studied(rows))
    assert (figures.seen, figures.doubtful, figures.gaps) == (8, 2, [Gap(3, 2)])


def test_unreadable_frames_are_told_apart_from_frames_without_a_face() -> None:
    rows = [empty(0.0), empty(1.0, "unreadable"), seen(2.0, "neutral"), empty(3.0)]
    (source,) = studied(rows).sources
    assert (source.without_face, source.unreadable, source.unreadable_frames) == (2, 1, 1)


def test_smoothed_labels_are_counted_beside_the_raw_ones() -> None:
    raw = ["happiness", "sadness", "happiness", "happiness"]
    figures = only(studied(seen(float(t), label, smoothed="happiness") for t, label in enumerate(raw)))
    assert figures.tracked
    assert figures.raw.seconds.tolist() == [3, 0, 1]
    assert figures.smoothed.seconds.tolist() == [4, 0, 0]
    assert figures.smoothing_agrees == 3 / 4
    assert (figures.raw.transitions.sum(), figures.smoothed.transitions.sum()) == (2, 0)


def test_intensity_and_uncertainty() -> None:
    figures = only(studied([seen(0.0, "neutral"), seen(1.0, "happiness")]))
    rest = (1 - SURE) / 2
    assert figures.intensity == pytest.approx(1 - (SURE + rest) / 2)
    entropy = -SURE * math.log(SURE) - 2 * rest * math.log(rest)
    assert figures.uncertainty == pytest.approx(entropy / math.log(3))
    assert figures.means(figures.values.weights) == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_each_track_is_a_person_and_untracked_faces_are_counted() -> None:
    rows: list[Row] = []
    for t in range(4):
        rows += [seen(float(t), "neutral", 1), seen(float(t), "sadness", 2 if t < 2 else None, face=1)]
    found = studied(rows)
    assert [(p.person.track, p.seen) for p in found.persons] == [(1, 4), (2, 2)]
    assert found.sources[0].untracked == 2


def test_without_tracks_the_largest_face_of_each_source_is_followed() -> None:
    rows = [
        seen(float(t), label, None, face=face, source=source)
        for source in ("a.mp4", "b.mp4")
        for t in range(3)
        for face, label in enumerate(("happiness", "sadness"))
    ]
    found = studied(rows)
    assert [(p.person.source, p.person.name, p.raw.seconds.tolist()) for p in found.persons] == [
        ("a.mp4", "Largest face", [3, 0, 0]),
        ("b.mp4", "Largest face", [3, 0, 0]),
    ]
    assert [source.other_faces for source in found.sources] == [3, 3]


def test_images_are_counted_by_folder_and_face() -> None:
    rows = [
        seen(None, "happiness", None, source="a/1.jpg"),
        seen(None, "sadness", None, face=1, source="a/1.jpg"),
        empty(None, source="a/2.jpg"),
        empty(None, "unreadable", source="a/3.jpg"),
        seen(None, "happiness", None, source="b/1.jpg"),
    ]
    found = studied(rows)
    assert {p.person.source: p.raw.seconds.tolist() for p in found.persons} == {
        "a": [1, 0, 1],
        "b": [1, 0, 0],
    }
    assert (found.images.images, found.images.without_face, found.images.unreadable) == (4, 1, 1)


def test_a_single_frame_has_no_duration_and_counts_as_an_image() -> None:
    found = studied([seen(7.0, "sadness")])
    assert not found.sources
    assert only(found).person.images


@pytest.mark.parametrize("frames", [2, 9, 30])
def test_frames_that_all_have_one_time_have_no_duration_and_count_as_images(frames: int) -> None:
    found = studied(seen(7.0, "sadness", frame=frame) for frame in range(frames))
    assert not found.sources
    assert found.images.images == only(found).frames == only(found).seen == frames


def test_frames_of_one_time_before_others_are_frames() -> None:
    times = [0.0] * 12 + [1.0, 2.0]
    found = studied(seen(time, "sadness", frame=frame) for frame, time in enumerate(times))
    assert (found.sources[0].frames, only(found).seen, found.images.images) == (14, 3, 0)


def shuffled(rows: list[Row]) -> list[Row]:
    return [rows[index] for index in np.random.default_rng(3).permutation(len(rows))]


def test_rows_in_any_order_give_the_same_figures() -> None:
    rows = list(film(8, 3)) + list(film(5, 1, source="other.mp4"))
    mixed = shuffled(rows)
    expected, found = studied(rows), studied(mixed)
    assert [p.person for p in found.persons] == [p.person for p in expected.persons]
    for one, other in zip(found.persons, expected.persons, strict=True):
        assert np.array_equal(one.totals, other.totals)
        assert np.array_equal(one.raw.transitions, other.raw.transitions)
        assert one.gaps == other.gaps


def test_sorting_on_disk_is_sorting() -> None:
    rows = list(film(3, 2))
    mixed = shuffled(rows)
    assert list(sorted_by_time(mixed, at_once=37)) == rows


def test_sources_that_take_turns_are_no_disorder() -> None:
    rows = [seen(float(t), "neutral", source=source) for t in range(3) for source in ("a.mp4", "b.mp4")]
    assert [p.seen for p in studied(rows).persons] == [3, 3]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "needs at least one row"),
        ([seen(0.0, "neutral"), seen(0.0, "neutral")], "two rows of face 0"),
        ([empty(1.0), empty(1.0)], "two rows without a face"),
        ([seen(-1.0, "neutral")], r"row 1 of the table \(clip.mp4\): a time is .* got -1.0"),
        ([seen(math.nan, "neutral")], "got nan"),
    ],
)
def test_what_breaks_a_rule_is_named(rows: list[Row], message: str) -> None:
    with pytest.raises(DataError, match=message):
        studied(rows)


SHOWN = st.lists(st.tuples(st.integers(1, 400), st.sampled_from([*NAMES, ""])), min_size=2, max_size=60)
"""Durations in milliseconds and labels of frames, "" for no face."""


@given(SHOWN)
@settings(max_examples=50)
def test_what_always_holds(frames: Sequence[tuple[int, str]]) -> None:
    starts = np.cumsum([0, *(duration for duration, _ in frames[:-1])]) / 1000
    rows = [
        seen(float(t), label, smoothed=label) if label else empty(float(t))
        for t, (_, label) in zip(starts, frames, strict=True)
    ]
    found = studied(rows)
    (source,) = found.sources
    if not found.persons:
        return
    figures = only(found)
    # Shares sum to 1, and the times with and without the face to the duration.
    assert figures.means(figures.values.labels).sum() == pytest.approx(1)
    assert figures.means(figures.values.probabilities).sum() == pytest.approx(1)
    assert figures.raw.seconds.sum() == pytest.approx(figures.seen)
    assert figures.seen + source.without_face == pytest.approx(source.shown)
    assert source.end - source.start == pytest.approx(source.shown)
    assert figures.last - figures.first == pytest.approx(figures.seen + figures.gap_seconds)
    # Columns hold what the totals hold.
    assert figures.bins.sums.sum(axis=0) == pytest.approx(figures.totals, rel=1e-4, abs=1e-4)
    assert (figures.bins.sums[:, 0] <= figures.bins.width * 1.0001).all()
    # Dwells are the runs of one label that nothing interrupts, and each change is between two of them.
    runs = [label for label, _ in groupby(label for _, label in frames)]
    for number, name in enumerate(NAMES):
        assert figures.raw.dwells(number) == runs.count(name)
    assert figures.raw.transitions.sum() == sum(bool(a and b) for a, b in pairwise(runs))
    assert np.array_equal(figures.raw.transitions, figures.smoothed.transitions)
