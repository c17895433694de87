"""Rows and columns of a table of answers."""

from __future__ import annotations

import dataclasses

import pytest

from lnlattennet.bundle._prediction import Prediction
from lnlattennet.errors import DataError
from lnlattennet.streams import Columns, Frame, Model
from lnlattennet.streams._rows import rows_of, unreadable_row

MODEL = Model(("sad", "happy"), 4, "hash", "recipe")
COLUMNS = Columns(MODEL.class_names, MODEL.regions)
FACE = Prediction(
    label="happy",
    probabilities={"sad": 0.25, "happy": 0.75},
    logits=[0.0, 1.0],
    region_weights=[[0.1, 0.2], [0.3, 0.4]],
    region_affinity=[[0.25] * 4] * 4,
    face_box=(1.0, 2.0, 3.0, 4.0),
    face_found=True,
    face_score=0.5,
)


def test_every_face_is_a_row() -> None:
    small = dataclasses.replace(FACE, status="too_small")
    first, second = rows_of(Frame("film.mp4", 7, 0.25), [FACE, small], MODEL)
    assert (first.source, first.frame, first.time, first.face, first.status) == ("film.mp4", 7, 0.25, 0, "ok")
    assert (second.face, second.status) == (1, "too_small")
    values = dict(zip(COLUMNS.types, COLUMNS.values(first), strict=True))
    assert (values["probability_happy"], values["smoothed_happy"], values["right"]) == (0.75, None, 3.0)
    assert [values[f"region_weight_{index}"] for index in range(4)] == [0.1, 0.2, 0.3, 0.4]
    assert values["entropy"] == FACE.entropy
    tracked = dataclasses.replace(first, track=3, smoothed=(0.5, 0.5))
    for row in (first, second, tracked):
        assert COLUMNS.row(dict(zip(COLUMNS.types, COLUMNS.values(row), strict=True))) == row


def test_an_image_without_a_face_is_a_row_without_an_answer() -> None:
    square = dataclasses.replace(FACE, face_found=False, status="no_face", face_score=0.0)
    (row,) = rows_of(Frame("wall.png"), [square], MODEL)
    assert (row.status, row.face, row.box, row.label, row.probabilities) == ("no_face", *[None] * 4)
    broken = unreadable_row(Frame("notes.txt"), "it is a text", MODEL)
    assert (broken.status, broken.message, broken.model_hash) == ("unreadable", "it is a text", "hash")
    for empty in (row, broken):
        assert COLUMNS.row(dict(zip(COLUMNS.types, COLUMNS.values(empty), strict=True))) == empty


def test_columns_are_read_from_a_header() -> None:
    names = list(COLUMNS.types)
    assert Columns.from_names(names) == COLUMNS
    for wrong in (names[:-1], [*names, "more"], names[::-1], []):
        with pytest.raises(DataError, match="has the columns source, frame"):
            Columns.from_names(wrong)
    with pytest.raises(DataError, match=r"column 1 must be source, got Unnamed: 0; give a table that"):
        Columns.from_names(["Unnamed: 0", *names])
    with pytest.raises(DataError, match=f"column {len(names)} must be preprocessing_id, got none"):
        Columns.from_names(names[:-1])
    with pytest.raises(DataError, match="no column 'source'"):
        COLUMNS.row({})
    with pytest.raises(DataError, match="must be one of ok, no_face"):
        COLUMNS.row(dict.fromkeys(names))
