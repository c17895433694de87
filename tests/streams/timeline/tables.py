"""Small tables of answers, made by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from lnlattennet.streams._rows import Columns, Row
from lnlattennet.streams.timeline._person import PersonFigures
from lnlattennet.streams.timeline._study import Study, study

NAMES = ("happiness", "neutral", "sadness")
COLUMNS = Columns(NAMES, 4)
SURE = 0.8


def probabilities(label: str, share: float = SURE) -> tuple[float, ...]:
    """``share`` for a class, and the rest for the others alike."""
    rest = (1 - share) / (len(NAMES) - 1)
    return tuple(share if name == label else rest for name in NAMES)


def seen(
    time: float | None,
    label: str,
    track: int | None = 1,
    *,
    face: int = 0,
    frame: int | None = None,
    smoothed: str | None = None,
    status: str = "ok",
    source: str = "clip.mp4",
) -> Row:
    """A row with a face; ``smoothed`` is the label of the smoothed probabilities."""
    shares = probabilities(label)
    return Row(
        source=source,
        frame=frame,
        time=time,
        face=face,
        track=track,
        status=status,  # type: ignore[arg-type]
        box=(0.0, 0.0, 40.0, 40.0),
        face_score=0.9,
        label=label,
        probabilities=shares,
        smoothed=None if smoothed is None else probabilities(smoothed),
        entropy=-sum(share * math.log(share) for share in shares),
        region_weights=(0.1, 0.2, 0.3, 0.4),
        model_hash="a1b2",
        preprocessing_id="p",
    )


def empty(time: float | None, status: str = "no_face", source: str = "clip.mp4") -> Row:
    """A row without a face."""
    message = "cut off" if status == "unreadable" else None
    return Row(
        source=source,
        time=time,
        status=status,  # type: ignore[arg-type]
        message=message,
        model_hash="a1b2",
        preprocessing_id="p",
    )


def studied(rows: Iterable[Row]) -> Study:
    """The figures of rows."""
    table = list(rows)
    return study(COLUMNS, lambda: table)


def only(found: Study) -> PersonFigures:
    """The one person there is."""
    (figures,) = found.persons
    return figures


def film(seconds: float, persons: int, rate: float = 30.0, source: str = "clip.mp4") -> Iterable[Row]:
    """A film with faces that change, seeded; each is away for a while, and some frames are unreadable."""
    random = np.random.default_rng(7)
    changes = random.exponential(3.0, (persons, int(seconds) + 2)).cumsum(axis=1)
    labels = random.integers(0, len(NAMES), changes.shape)
    for frame in range(int(seconds * rate)):
        time = frame / rate
        if 0.8 * seconds < time < 0.82 * seconds:
            yield empty(time, "unreadable", source)
            continue
        here = [person for person in range(persons) if not 0.3 < time / seconds - 0.01 * person < 0.4]
        for face, person in enumerate(here):
            label = NAMES[labels[person, np.searchsorted(changes[person], time)]]
            noisy = NAMES[random.integers(0, len(NAMES))] if random.random() < 0.05 else label
            yield seen(time, noisy, person + 1, face=face, frame=frame, smoothed=label, source=source)
        if not here:
            yield empty(time, source=source)
