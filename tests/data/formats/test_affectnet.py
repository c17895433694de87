"""AffectNet in both releases: the box, the classes of each variant, and what is refused."""

from __future__ import annotations

import io
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.data import load_dataset
from lnlattennet.errors import ImageError
from tests.data import trees
from tests.data.checks import edit, message


def test_affectnet_crops_the_listed_box(tmp_path: Path) -> None:
    trees.build_affectnet(tmp_path)
    data = load_dataset(tmp_path)
    whole = trees.pixels("Manually_Annotated_Images/1/training0.jpg", (48, 40)).astype(int)
    difference = data.read(data.faces[0]) - whole[4 : 4 + 32, 8 : 8 + 32]
    assert np.abs(difference).mean() < 6


def test_a_box_is_in_pixels_of_the_full_size_of_a_reduced_image(tmp_path: Path) -> None:
    trees.build_affectnet(tmp_path)
    file = tmp_path / "Manually_Annotated_file_lists" / "validation.csv"
    edit(file, lambda lines: lines.__setitem__(0, lines[0].replace(",8,4,32,32,", ",3000,2001,1203,801,")))
    large = Image.new("RGB", (5700, 4200), "gray")
    large.paste("white", (3000, 2001, 4203, 2802))
    name = file.read_text().split(",")[0]
    large.save(tmp_path / "Manually_Annotated_Images" / name, quality=95)
    data = load_dataset(tmp_path).split("val")
    decoded = data.decode(data.faces[0])
    assert (decoded.width, decoded.height, decoded.scale) == (1203, 801, 2)
    crop = decoded.pixels
    assert crop.shape == (401, 602, 3)
    assert (crop[1:-1, 1:-1] > 250).all()


@pytest.mark.parametrize("build", [trees.build_affectnet, trees.build_affectnet_npy])
@pytest.mark.parametrize("classes", [7, 8])
def test_affectnet_keeps_what_the_variant_names(
    build: Callable[[Path], None], classes: int, tmp_path: Path
) -> None:
    build(tmp_path)
    data = load_dataset(tmp_path, f"affectnet-{classes}")
    order = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
    assert data.class_names == order[:classes]
    modulus = 11 if build is trees.build_affectnet else 8
    for face in data.faces:
        number = int("".join(filter(str.isdigit, face.name.rpartition("/")[2])))
        assert face.label == number % modulus
    assert Counter(face.split for face in data.faces) == {"train": 2 * classes, "val": 2 * classes}
    assert any("contempt" in note for note in data.notes) == (classes == 7)


def test_affectnet_leaves_out_rows_without_a_box_and_says_so(tmp_path: Path) -> None:
    trees.build_affectnet(tmp_path)
    file = tmp_path / "Manually_Annotated_file_lists" / "validation.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines, lines[0], lines[1].replace(",8,4,32,32,", ",NULL,4,0,32,")]) + "\n")
    data = load_dataset(tmp_path)
    assert len(data) == 32
    assert "left out 1 images without a usable box of the face" in data.notes
    assert "left out 1 images listed more than once (the first time counts)" in data.notes


def test_a_box_is_cut_at_the_image_edge_and_refused_outside(tmp_path: Path) -> None:
    trees.build_affectnet(tmp_path)
    file = tmp_path / "Manually_Annotated_file_lists" / "validation.csv"
    edit(file, lambda lines: lines.__setitem__(0, lines[0].replace(",8,4,32,32,", ",-6.0,30,20.0,40,")))
    edit(file, lambda lines: lines.__setitem__(1, lines[1].replace(",8,4,32,32,", ",48,4,20,20,")))
    data = load_dataset(tmp_path).split("val")
    assert data.read(data.faces[0]).shape == (10, 14, 3)
    with pytest.raises(ImageError, match=r"2/validation1\.jpg: the face's box \(48, 4, 68, 24\) lies"):
        data.read(data.faces[1])


def test_half_unpacked_affectnet_is_refused(tmp_path: Path) -> None:
    trees.build_affectnet(tmp_path)
    (tmp_path / "Manually_Annotated_Images" / "1" / "training0.jpg").unlink()
    assert "the list names 32 images, 1 of them missing" in message(tmp_path)
    (tmp_path / "Manually_Annotated_file_lists" / "validation.csv").unlink()
    assert "validation.csv is missing" in message(tmp_path)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("1/validation0.jpg,8,4,32,32,1;2,11,0,0", "expression must be from 0 to 10, got '11'"),
        ("1/validation0.jpg,8,4,32", "has no column face_height"),
    ],
)
def test_rows_of_affectnet_are_checked(row: str, expected: str, tmp_path: Path) -> None:
    trees.build_affectnet(tmp_path)
    edit(tmp_path / "Manually_Annotated_file_lists" / "validation.csv", lambda lines: lines.insert(1, row))
    text = message(tmp_path)
    assert "line 2 of" in text
    assert expected in text


def test_half_unpacked_npy_release_is_refused(tmp_path: Path) -> None:
    trees.build_affectnet_npy(tmp_path)
    annotations = tmp_path / "val_set" / "annotations"
    np.save(annotations / "0_exp.npy", np.array("17"))
    assert "must hold a code from 0 to 10, got 17" in message(tmp_path)
    (annotations / "0_exp.npy").write_bytes(b"")
    assert "holds no number of an expression" in message(tmp_path)
    (annotations / "0_exp.npy").unlink()
    (tmp_path / "train_set" / "images" / "3.jpg").unlink()
    text = message(tmp_path)
    assert "2 images or _exp.npy files are without the other" in text
    assert "train_set/annotations/3_exp.npy, val_set/images/0.jpg" in text
    shutil.rmtree(tmp_path / "train_set")


def test_a_damaged_annotation_is_named_whatever_numpy_trips_over(tmp_path: Path) -> None:
    trees.build_affectnet_npy(tmp_path)
    file = tmp_path / "val_set" / "annotations" / "0_exp.npy"
    good = file.read_bytes()
    shape = b"'shape': (), }"
    assert shape in good
    damaged = [
        b"PK\x03\x04 no zip file",
        good.replace(shape, b"'shape': ((, }"),
        good.replace(shape + b" " * 12, b"'shape': (999999999999999,)}"),
        npy(np.array(np.inf)),
        npy(np.array(3j)),
    ]
    for content in damaged:
        file.write_bytes(content)
        assert f"{file} holds no number of an expression" in message(tmp_path)


def npy(value: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, value)
    return stream.getvalue()


def test_an_npy_release_with_seven_classes_is_not_taken_for_eight(tmp_path: Path) -> None:
    trees.build_affectnet_npy(tmp_path, 7)
    assert "no image of contempt in train" in message(tmp_path)
    assert len(load_dataset(tmp_path, "affectnet-7")) == 28
