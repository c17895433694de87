"""Rows of a table of answers, and its columns: the same in every file format."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from lnlattennet.bundle._prediction import Prediction
from lnlattennet.errors import DataError
from lnlattennet.images._face_crop import FaceStatus
from lnlattennet.model._preprocessing import Box
from lnlattennet.streams._frame import Frame

if TYPE_CHECKING:
    from lnlattennet.bundle._bundle import Bundle

RowStatus = FaceStatus | Literal["unreadable"]
"""Whether a row holds a sure face, none, one too small, a doubtful one, or an image that cannot be read."""

_STATUSES = (*get_args(FaceStatus), "unreadable")
_BOX = ("left", "top", "right", "bottom")
_PROBABILITY, _SMOOTHED, _WEIGHT = "probability_", "smoothed_", "region_weight_"


@dataclass(frozen=True)
class Model:
    """Model that answers a run: its classes and regions, and what identifies it.

    Attributes:
        class_names: in the order of the logits.
        regions: K, regions of a face.
        model_hash: ``Manifest.model_hash`` of the engine.
        preprocessing_id: ``Preprocessing.id`` of the bundle.
    """

    class_names: tuple[str, ...]
    regions: int
    model_hash: str
    preprocessing_id: str

    @classmethod
    def of(cls, bundle: Bundle, engine: str) -> Model:
        """Return what an engine of a bundle is as a model, by its name."""
        manifest = bundle.manifest
        return cls(
            class_names=tuple(manifest.class_names),
            regions=manifest.grid**2,
            model_hash=manifest.model_hash(engine),
            preprocessing_id=manifest.preprocessing.id,
        )


@dataclass(frozen=True, kw_only=True)
class Row:
    """One face of one image, or an image without a face.

    Attributes:
        source: where the image comes from, as ``Frame.source``.
        frame: number of the frame in its source; None for an image file.
        time: presentation time in seconds; None for an image file.
        face: number of the face in the image, 0 for the largest; None if there is no face or no image.
        track: number of the person in the source; None if nobody tracks.
        status: "ok", "no_face", "too_small", "low_score", or "unreadable" if there is no image.
        message: why an image is unreadable; None for others.
        box: left, top, right, bottom of the crop in pixels of the upright image; None without a face.
        face_score: the finder's confidence, 0 to 1.
        label: the most probable class; None without a face.
        probabilities: in the order of the classes; None without a face.
        smoothed: the track's probabilities, smoothed over time; None if nobody tracks.
        entropy: of the probabilities, in nats; None without a face.
        region_weights: K weights of the face's regions, row by row; None without a face.
        model_hash: as in ``Model``.
        preprocessing_id: as in ``Model``.
    """

    source: str
    frame: int | None = None
    time: float | None = None
    face: int | None = None
    track: int | None = None
    status: RowStatus
    message: str | None = None
    box: Box | None = None
    face_score: float | None = None
    label: str | None = None
    probabilities: tuple[float, ...] | None = None
    smoothed: tuple[float, ...] | None = None
    entropy: float | None = None
    region_weights: tuple[float, ...] | None = None
    model_hash: str
    preprocessing_id: str


def rows_of(frame: Frame, predictions: Sequence[Prediction], model: Model) -> list[Row]:
    """Return one row for every face of a frame, or one that says that it has none."""
    faces = [prediction for prediction in predictions if prediction.face_found]
    if not faces:
        return [_row(frame, model, status="no_face")]
    return [
        _row(
            frame,
            model,
            face=number,
            status=face.status,
            box=face.face_box,
            face_score=face.face_score,
            label=face.label,
            probabilities=tuple(face.probabilities.values()),
            entropy=face.entropy,
            region_weights=tuple(weight for line in face.region_weights for weight in line),
        )
        for number, face in enumerate(faces)
    ]


def unreadable_row(frame: Frame, message: str, model: Model) -> Row:
    """Return the row of a frame that has no image, or a refused one."""
    return _row(frame, model, status="unreadable", message=message)


def _row(frame: Frame, model: Model, **fields: Any) -> Row:
    return Row(
        source=frame.source,
        frame=frame.index,
        time=frame.time,
        model_hash=model.model_hash,
        preprocessing_id=model.preprocessing_id,
        **fields,
    )


@dataclass(frozen=True)
class Columns:
    """Columns of a table of rows.

    Attributes:
        class_names: in the order of the logits.
        regions: K, regions of a face.
    """

    class_names: tuple[str, ...]
    regions: int

    @cached_property
    def types(self) -> dict[str, type[str] | type[int] | type[float]]:
        """Name of each column in order -> type of its values; each but source and status may be null."""
        return {
            "source": str,
            "frame": int,
            "time": float,
            "face": int,
            "track": int,
            "status": str,
            "message": str,
            **dict.fromkeys(_BOX, float),
            "face_score": float,
            "label": str,
            **dict.fromkeys((_PROBABILITY + name for name in self.class_names), float),
            **dict.fromkeys((_SMOOTHED + name for name in self.class_names), float),
            "entropy": float,
            **dict.fromkeys((f"{_WEIGHT}{index}" for index in range(self.regions)), float),
            "model_hash": str,
            "preprocessing_id": str,
        }

    def values(self, row: Row) -> tuple[str | int | float | None, ...]:
        """Return the values of a row in the order of the columns."""
        classes = (None,) * len(self.class_names)
        return (
            row.source,
            row.frame,
            row.time,
            row.face,
            row.track,
            row.status,
            row.message,
            *(row.box or (None,) * 4),
            row.face_score,
            row.label,
            *(row.probabilities or classes),
            *(row.smoothed or classes),
            row.entropy,
            *(row.region_weights or (None,) * self.regions),
            row.model_hash,
            row.preprocessing_id,
        )

    def row(self, values: Mapping[str, Any]) -> Row:
        """Return the row with these values: name of a column -> value, None for null.

        Raises:
            DataError: a column is missing, the status is none of those that there are, or the source is null.
        """
        if missing := [name for name in self.types if name not in values]:
            raise DataError(f"a row has no column {missing[0]!r}; write the table again")
        if values["status"] not in _STATUSES:
            raise DataError(f"a status must be one of {', '.join(_STATUSES)}, got {values['status']!r}")
        if values["source"] is None:
            raise DataError("a row must have a source, and its one is empty; write the table again")
        plain = ("source", "frame", "time", "face", "track", "status", "message", "face_score", "label")
        lists: dict[str, Any] = {
            field: _all_or_none([values[name] for name in names]) for field, names in self._lists.items()
        }
        return Row(
            **{name: values[name] for name in (*plain, "entropy", "model_hash", "preprocessing_id")}, **lists
        )

    @cached_property
    def _lists(self) -> dict[str, list[str]]:
        """Field of a row that takes several columns -> their names."""
        return {
            "box": list(_BOX),
            "probabilities": [_PROBABILITY + name for name in self.class_names],
            "smoothed": [_SMOOTHED + name for name in self.class_names],
            "region_weights": [f"{_WEIGHT}{index}" for index in range(self.regions)],
        }

    @classmethod
    def from_names(cls, names: Sequence[str]) -> Columns:
        """Return the columns that have these names, which a file's header holds.

        Raises:
            DataError: they are not the columns of such a table.
        """
        classes = [name.removeprefix(_PROBABILITY) for name in names if name.startswith(_PROBABILITY)]
        columns = cls(tuple(classes), sum(name.startswith(_WEIGHT) for name in names))
        for number, (wanted, name) in enumerate(itertools.zip_longest(columns.types, names), 1):
            if name != wanted:
                raise DataError(
                    f"a table of answers has the columns source, frame, time, ...: column {number} must be "
                    f"{wanted or 'left out'}, got {name or 'none'}; give a table that `lnlattennet predict "
                    "--output` or `lnlattennet score` wrote"
                )
        return columns


def _all_or_none(values: list[float | None]) -> tuple[float, ...] | None:
    """Return the values, or None if they are null."""
    return None if None in values or not values else tuple(values)  # type: ignore[arg-type]
