"""Everything that a table of answers says of persons over time, read once, row by row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath

from lnlattennet.errors import DataError
from lnlattennet.streams._rows import Columns, Row
from lnlattennet.streams.timeline._frames import FrameClock, OutOfOrderError, TimedFrame
from lnlattennet.streams.timeline._order import sorted_by_time
from lnlattennet.streams.timeline._person import Person, PersonFigures
from lnlattennet.streams.timeline._time_bins import MOST_COLUMNS

_FEWEST_COLUMNS = 75
_PERSONS_IN_FULL = 64
"""Persons that have ``MOST_COLUMNS`` columns each; more share as many, down to ``_FEWEST_COLUMNS``."""

_SUM_TOLERANCE = 0.01


@dataclass
class SourceFigures:
    """A video or a camera.

    Attributes:
        source: its name in the rows.
        clock: of its frames.
        frames: number of its frames.
        start: presentation time of the first one, in seconds.
        end: when the last one ends.
        shown: seconds with frames; the rest of the time from start to end is a gap without any.
        without_face: seconds of frames in which no face was found.
        unreadable: seconds of frames that cannot be read.
        unreadable_frames: their number.
        tracked: whether a row has a track.
        untracked: rows of faces without a track.
        other_faces: rows of faces besides the largest one of a frame.
    """

    source: str
    clock: FrameClock = field(default_factory=FrameClock)
    frames: int = 0
    start: float = math.inf
    end: float = -math.inf
    shown: float = 0.0
    without_face: float = 0.0
    unreadable: float = 0.0
    unreadable_frames: int = 0
    tracked: bool = False
    untracked: int = 0
    other_faces: int = 0

    def add(self, frame: TimedFrame) -> None:
        """Count a frame."""
        self.frames += 1
        self.start, self.end = min(self.start, frame.start), frame.end
        self.shown += frame.duration
        faces = [row for row in frame.rows if row.face is not None]
        self.untracked += sum(row.track is None for row in faces)
        self.tracked |= any(row.track is not None for row in faces)
        self.other_faces += max(len(faces) - 1, 0)
        if frame.rows[0].status == "unreadable":
            self.unreadable += frame.duration
            self.unreadable_frames += 1
        elif not faces:
            self.without_face += frame.duration


@dataclass
class ImageFigures:
    """Images without a time, by folder.

    Attributes:
        images: number of images.
        without_face: those in which no face was found.
        unreadable: those that cannot be read.
    """

    images: int = 0
    without_face: int = 0
    unreadable: int = 0


@dataclass(frozen=True)
class Study:
    """Figures of a table.

    Attributes:
        columns: of the table.
        rows: number of its rows.
        sources: videos and cameras, in the order of the table.
        images: of images without a time.
        persons: whoever has a row with a face; of each source, the longest seen first.
        models: the values of model_hash.
    """

    columns: Columns
    rows: int
    sources: list[SourceFigures]
    images: ImageFigures
    persons: list[PersonFigures]
    models: list[str]

    def persons_in(self, source: str) -> list[PersonFigures]:
        """Return the persons of a source, the longest seen first."""
        return [figures for figures in self.persons if figures.person.source == source]


def study(columns: Columns, read: Callable[[], Iterable[Row]]) -> Study:
    """Return the figures of a table.

    The memory that it takes depends on the number of persons, not on the number of rows, but for sources
    whose rows all have one time: theirs are kept. Rows that are not
    in order of time are sorted on the disk first.

    Args:
        columns: of the table.
        read: gives the rows, from the first one on at each call.

    Raises:
        DataError: there are no rows, one breaks a rule, or a frame is there twice.
    """
    try:
        return _Collector(columns).collect(read())
    except OutOfOrderError:
        return _Collector(columns).collect(sorted_by_time(read()))


class _Collector:
    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.classes = frozenset(columns.class_names)
        self.sources: dict[str, SourceFigures] = {}
        self.images = ImageFigures()
        self.persons: dict[Person, PersonFigures] = {}
        self.models: dict[str, None] = {}
        self.positions: dict[Person, int] = {}
        self.last_image: tuple[str, str] | None = None

    def collect(self, rows: Iterable[Row]) -> Study:
        number = 0
        for number, row in enumerate(rows, 1):
            _check(row, number, self.classes)
            self.models.setdefault(row.model_hash)
            if row.time is None:
                self._add_image(row)
            else:
                source = self.sources.setdefault(row.source, SourceFigures(row.source))
                self._add_frames(source, source.clock.add(row.time, row))
        if not number:
            raise DataError("a timeline needs at least one row, and the table has none")
        for source in list(self.sources.values()):
            self._end(source)
        for figures in self.persons.values():
            figures.finish()
        sources = list(self.sources.values())
        return Study(self.columns, number, sources, self.images, self._kept(sources), list(self.models))

    def _end(self, source: SourceFigures) -> None:
        """Add the last frames; those without a duration count as images."""
        self._add_frames(source, source.clock.finish())
        for row in source.clock.without_duration:
            self._add_image(row)
        if not source.frames:
            del self.sources[source.source]

    def _add_frames(self, source: SourceFigures, frames: Iterator[TimedFrame]) -> None:
        for frame in frames:
            source.add(frame)
            for row in frame.rows:
                if row.track is not None:
                    self._figures(Person(row.source, row.track)).add(frame.start, frame.end, row)
                if row.face == 0 and not source.tracked:
                    self._figures(Person(row.source, None)).add(frame.start, frame.end, row)

    def _add_image(self, row: Row) -> None:
        self.images.images += row.face in (0, None)
        self.images.unreadable += row.status == "unreadable"
        self.images.without_face += row.status == "no_face"
        person = Person(str(PurePath(row.source).parent), None, images=True)
        figures = self._figures(person)
        position = self.positions.get(person, 0)
        self.positions[person] = position + 1
        if row.face is not None:
            figures.add(position, position + 1, row)

    def _figures(self, person: Person) -> PersonFigures:
        if person not in self.persons:
            self.persons[person] = PersonFigures(person, self.columns, self._most_columns())
            if (count := len(self.persons)) > _PERSONS_IN_FULL and count & (count - 1) == 0:
                for figures in self.persons.values():
                    figures.bins.limit(self._most_columns())
        return self.persons[person]

    def _most_columns(self) -> int:
        share = MOST_COLUMNS * _PERSONS_IN_FULL // max(len(self.persons), _PERSONS_IN_FULL)
        return max(share, _FEWEST_COLUMNS)

    def _kept(self, sources: list[SourceFigures]) -> list[PersonFigures]:
        """Leave out the largest face where there are tracks: it is one of the persons."""
        tracked = {source.source for source in sources if source.tracked}
        kept = [
            figures
            for person, figures in self.persons.items()
            if person.images or person.track is not None or person.source not in tracked
        ]
        return sorted(kept, key=lambda figures: -figures.seen)


def _check(row: Row, number: int, classes: frozenset[str]) -> None:
    def refuse(rule: str, value: object) -> None:
        raise DataError(
            f"row {number} of the table ({row.source}): {rule}, got {value}; write the table again"
        )

    if row.time is not None and not (math.isfinite(row.time) and row.time >= 0):
        refuse("a time is a number of seconds from 0 on", row.time)
    if row.status != "ok":
        return
    if row.face is None or row.box is None:
        refuse("a face with the status ok has a number and a box", row.face if row.box else row.box)
    if row.label not in classes:
        refuse(f"the label of a face is one of {', '.join(sorted(classes))}", row.label)
    for name, shares in (("probabilities", row.probabilities), ("smoothed probabilities", row.smoothed)):
        if shares is None and name != "probabilities":
            continue
        if shares is None or not (min(shares) >= 0 and abs(sum(shares) - 1) <= _SUM_TOLERANCE):
            refuse(f"the {name} of a face are from 0 to 1 and sum to 1", shares)
    if row.region_weights and not all(map(math.isfinite, row.region_weights)):
        refuse("region weights are numbers", row.region_weights)
