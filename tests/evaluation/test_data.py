"""Choice of the faces and of the classes that are evaluated."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lnlattennet.data._records import Face, FaceData
from lnlattennet.data._splits import choose_split
from lnlattennet.errors import DataError, UsageError
from lnlattennet.evaluation._class_match import match_classes
from lnlattennet.evaluation._data import dataset_faces
from lnlattennet.evaluation._predictions import MISTAKES, predict_data
from lnlattennet.evaluation.predictors._base import Predictor
from lnlattennet.images._decode import DecodedImage, Detail
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._base import Arrays

PREPROCESSING = Preprocessing(size=16)


def face_data(*splits: str | None, classes: tuple[str, ...] = ("a", "b", "c"), count: int = 6) -> FaceData:
    """``count`` faces per split, classes in turn; an image's red tells its class, its green which it is."""
    faces = [
        Face(f"{split}/{index}", index % len(classes), split) for split in splits for index in range(count)
    ]

    def read(face: Face, enough: Detail | None) -> DecodedImage:
        image = np.zeros((20, 24, 3), np.uint8)
        image[..., 0] = 40 * ord(classes[face.label][0]) % 251
        image[..., 1] = int(face.name.rpartition("/")[2]) % 256
        return DecodedImage(image, 24, 20)

    return FaceData("folder", Path("faces"), classes, tuple(faces), read, ("a note of the loader",))


def reader(classes: tuple[str, ...], sharpness: float = 3.0) -> Predictor:
    """Return a predictor of the class by the red channel, which is wrong for every fifth face."""

    def predict(faces: NDArray[np.uint8]) -> Arrays:
        logits = np.zeros((len(faces), len(classes)), np.float32)
        for row, face in enumerate(faces):
            number = int(face[8, 8, 1])
            label = [40 * ord(name[0]) % 251 for name in classes].index(int(face[8, 8, 0]))
            wrong = number % 5 == 4
            logits[row, (label + wrong) % len(classes)] = sharpness + (
                number * 37 % 256 / 100 if wrong else 0
            )
        return {"logits": logits, "region_weights": np.full((len(faces), 4), 0.25, np.float32)}

    return Predictor(classes, PREPROCESSING, 2, {"kind": "test"}, None, predict)


@pytest.mark.parametrize(
    ("splits", "asked", "chosen", "faces"),
    [
        (("train", "val", "test"), None, "test", 6),
        (("train", "val"), None, "val", 6),
        (("train",), None, "all", 6),
        ((None,), None, "all", 6),
        (("train", "val", "test"), "train", "train", 6),
        (("train", "val", "test"), "all", "all", 18),
    ],
)
def test_the_split_is_test_else_val_else_all(
    splits: tuple[str | None, ...], asked: str | None, chosen: str, faces: int
) -> None:
    data, name, notes = choose_split(face_data(*splits), asked)
    assert (name, len(data)) == (chosen, faces)
    assert bool(notes) == (asked is None and chosen != "test")


def test_a_split_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(DataError, match="faces has no split 'test'; it has: train, val; or take every face"):
        choose_split(face_data("train", "val"), "test")
    with pytest.raises(DataError, match="no split 'val'; it has no official splits"):
        choose_split(face_data(None), "val")
    with pytest.raises(UsageError, match="--split must be one of train, val, test or all, got 'dev'"):
        choose_split(face_data("train"), "dev")
    with pytest.raises(DataError, match="holds no labeled face"):
        choose_split(face_data("train", count=0), None)


def test_classes_are_matched_by_name_in_any_order() -> None:
    match = match_classes(("a", "b", "c"), ("c", "a", "b"), common_only=False)
    assert match.class_names == ("a", "b", "c")
    assert match.columns == (0, 1, 2)
    assert match.label_of.tolist() == [2, 0, 1]
    assert match.notes == ()


def test_classes_that_differ_are_named_or_left_out_when_asked() -> None:
    with pytest.raises(UsageError, match="only the model has b and only the data has x, y") as caught:
        match_classes(("a", "b", "c"), ("x", "c", "a", "y"), common_only=False)
    assert "the 2 common ones with --common-classes" in str(caught.value)
    match = match_classes(("a", "b", "c"), ("x", "c", "a", "y"), common_only=True)
    assert match.class_names == ("a", "c")
    assert match.columns == (0, 2)
    assert match.label_of.tolist() == [-1, 1, 0, -1]
    assert len(match.notes) == 2
    with pytest.raises(UsageError, match="fewer than two classes are common"):
        match_classes(("a", "b"), ("A", "b"), common_only=True)


def test_classes_that_only_unicode_composes_otherwise_are_the_same() -> None:
    composed, decomposed = "col\u00e8re", "cole\u0300re"
    for model, data in ((composed, decomposed), (decomposed, composed)):
        match = match_classes(("joie", model), (data, "joie"), common_only=False)
        assert match.class_names == ("joie", composed)
        assert match.columns == (0, 1)
        assert match.label_of.tolist() == [1, 0]


def test_predictions_of_another_class_order_are_those_of_the_same_order() -> None:
    data = face_data("test", count=130)
    found = {}
    for order in (("a", "b", "c"), ("c", "a", "b")):
        predictor = reader(order)
        source = dataset_faces(data, None, PREPROCESSING)
        match = match_classes(predictor.class_names, source.class_names, common_only=False)
        answers = predict_data(predictor, source, match, temperature=1.0)
        assert answers.indices.tolist() == list(range(130))
        found[order] = (answers.logits.argmax(axis=1) == answers.labels).tolist()
    assert found["a", "b", "c"] == found["c", "a", "b"] == [index % 5 != 4 for index in range(130)]


def test_only_common_classes_are_predicted_and_counted() -> None:
    predictor = reader(("a", "b", "c", "d"))
    source = dataset_faces(face_data("test", classes=("b", "c", "d"), count=150), None, PREPROCESSING)
    match = match_classes(predictor.class_names, ("x", "c", "d"), common_only=True)
    answers = predict_data(predictor, source, match, temperature=1.0)
    assert match.class_names == ("c", "d")
    assert answers.indices.tolist() == [index for index in range(150) if index % 3]
    assert answers.logits.shape == (100, 2)


def test_the_worst_mistakes_are_the_most_confident_ones_of_all_chunks() -> None:
    predictor = reader(("a", "b", "c"))
    source = dataset_faces(face_data("test", count=250), None, PREPROCESSING)
    match = match_classes(predictor.class_names, source.class_names, common_only=False)
    answers = predict_data(predictor, source, match, temperature=2.0)
    worst = sorted(range(4, 250, 5), key=lambda number: -(number * 37 % 256))[:MISTAKES]
    assert len({index // 64 for index in worst}) == 4
    assert [mistake.index for mistake in answers.mistakes] == worst
    assert [int(mistake.face[0, 0, 1]) for mistake in answers.mistakes] == worst
    # A view would keep all of its chunk in memory.
    assert all(mistake.face.base is None for mistake in answers.mistakes)
    powers = np.exp(np.array([3 + worst[0] * 37 % 256 / 100, 0, 0]) / 2)
    assert answers.mistakes[0].confidence == pytest.approx(powers[0] / powers.sum(), rel=1e-6)
    assert 0 < answers.predict_seconds < answers.total_seconds


def test_a_logit_that_is_no_number_names_its_face() -> None:
    predictor = reader(("a", "b", "c"), sharpness=float("nan"))
    source = dataset_faces(face_data("test"), None, PREPROCESSING)
    match = match_classes(predictor.class_names, source.class_names, common_only=False)
    with pytest.raises(DataError, match=r"must be finite, but for test/0 they are \[nan"):
        predict_data(predictor, source, match, temperature=1.0)


def test_memory_does_not_grow_with_the_data() -> None:
    """3,000 more faces of 48 x 48 are 21 MB; what is kept of them are three logits and a name each."""
    preprocessing, classes = Preprocessing(size=48), ("a", "b", "c")

    def predict(faces: NDArray[np.uint8]) -> Arrays:
        return {"logits": np.zeros((len(faces), 3), np.float32)}

    predictor = Predictor(classes, preprocessing, 1, {}, None, predict)
    match = match_classes(classes, classes, common_only=False)

    def peak(count: int) -> int:
        source = dataset_faces(face_data("test", count=count), None, preprocessing)
        tracemalloc.start()
        predict_data(predictor, source, match, temperature=1.0)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few = peak(1000)
    assert peak(4000) - few < 3_000_000


def test_the_summary_counts_the_faces_per_class() -> None:
    document = dataset_faces(face_data("test", "train", count=7), "test", PREPROCESSING).summary()
    assert document["faces_per_class"] == {"a": 3, "b": 2, "c": 2}
    assert (document["split"], document["faces"]) == ("test", 7)
