"""Every layout: found by itself or by name, whole, with the right label, split and subject for each face."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lnlattennet.data import FORMATS, Face, FaceData, load_dataset
from lnlattennet.data.synthetic import EXPRESSIONS
from lnlattennet.errors import UsageError
from tests.data import trees
from tests.data.trees import BUILDERS, MUST_BE_NAMED

VOCABULARY = {*EXPRESSIONS, "contempt"}
RAFDB_ORDER = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
NOUNS = {"angry": "anger", "happy": "happiness", "sad": "sadness"}


@pytest.fixture(params=BUILDERS)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> FaceData:
    """Each tree in turn, opened by its format."""
    build, format = BUILDERS[request.param]
    build(tmp_path)
    return load_dataset(tmp_path, format)


def class_of(data: FaceData, face: Face) -> str:
    return data.class_names[face.label]


@pytest.mark.parametrize("name", [name for name in BUILDERS if name not in MUST_BE_NAMED])
def test_the_folder_tells_its_layout(name: str, tmp_path: Path) -> None:
    build, format = BUILDERS[name]
    build(tmp_path)
    assert load_dataset(tmp_path).format == format


def test_every_format_has_a_tree_that_tests_it() -> None:
    assert {format for _, format in BUILDERS.values()} == set(FORMATS)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("rafdb", "crops"),
        ("rafdb-original", "whole"),
        ("fer2013", "crops"),
        ("ferplus-folders", "crops"),
        ("ckplus", "whole"),
        ("ck48", "crops"),
        ("jaffe", "whole"),
        ("oulu-casia", "whole"),
        ("affectnet-8", "crops"),
        ("folder", "mixed"),
        ("prepared", "crops"),
        ("webdataset", "mixed"),
    ],
)
def test_a_format_says_what_its_images_show(name: str, kind: str, tmp_path: Path) -> None:
    build, format = BUILDERS[name]
    build(tmp_path)
    assert load_dataset(tmp_path, format).image_kind == kind
    assert load_dataset(tmp_path, format, faces="crop").image_kind == "whole"
    assert load_dataset(tmp_path, format, faces="as-is").image_kind == "crops"
    with pytest.raises(UsageError, match="--faces must be one of auto, crop, as-is, got 'no'"):
        load_dataset(tmp_path, format, faces="no")  # type: ignore[arg-type]


def test_rafdb_without_aligned_faces_has_whole_images(tmp_path: Path) -> None:
    trees.build_rafdb(tmp_path, ["original"])
    data = load_dataset(tmp_path, "rafdb")
    assert (data.format, data.image_kind) == ("rafdb-original", "whole")


def test_images_are_rgb_and_every_class_is_in_every_split(opened: FaceData) -> None:
    for counts in opened.counts().values():
        assert set(counts) == set(range(len(opened.class_names)))
        assert min(counts.values()) >= trees.PER_CLASS
    for index in range(len(opened)):
        image = opened.read(opened.faces[index])
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert min(image.shape[:2]) >= 32
    assert len({face.name for face in opened.faces}) == len(opened)


def test_classes_are_called_alike_in_all_published_sets(opened: FaceData) -> None:
    if opened.format not in ("folder", "webdataset"):
        assert set(opened.class_names) <= VOCABULARY
        assert len(opened.class_names) >= 6


def test_reading_again_gives_the_same_faces_in_the_same_order(opened: FaceData, tmp_path: Path) -> None:
    assert load_dataset(tmp_path, opened.format).faces == opened.faces


@pytest.mark.parametrize("format", ["rafdb", "rafdb-original"])
def test_rafdb_follows_its_list(format: str, tmp_path: Path) -> None:
    trees.build_rafdb(tmp_path)
    data = load_dataset(tmp_path, format)
    lines = (tmp_path / "EmoLabel" / "list_patition_label.txt").read_text().split("\n")[:-1]
    assert len(lines) == len(data) == 28
    for line, face in zip(lines, data.faces, strict=True):
        name, label = line.split()
        kind = "aligned" if format == "rafdb" else "original"
        end = "_aligned.jpg" if format == "rafdb" else ".jpg"
        assert face.name == f"Image/{kind}/{name.removesuffix('.jpg')}{end}"
        assert class_of(data, face) == RAFDB_ORDER[int(label) - 1]
        assert name.startswith(f"{face.split}_")


def test_rafdb_without_aligned_faces_says_that_it_takes_the_photographs(tmp_path: Path) -> None:
    trees.build_rafdb_original(tmp_path)
    data = load_dataset(tmp_path, "rafdb")
    assert data.format == "rafdb-original"
    assert any("Image/aligned is missing" in note for note in data.notes)


@pytest.mark.parametrize(
    ("format", "meaning"),
    [
        ("rafdb-digits", dict(zip("1234567", RAFDB_ORDER, strict=True))),
        (
            "rafdb-digits0",
            dict(
                zip(
                    "0123456",
                    ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger"),
                    strict=True,
                )
            ),
        ),
    ],
)
def test_digits_mean_what_the_named_order_says(format: str, meaning: dict[str, str], tmp_path: Path) -> None:
    BUILDERS[format][0](tmp_path)
    data = load_dataset(tmp_path, format)
    for face in data.faces:
        split, digit, _ = face.name.split("/")
        assert (face.split, class_of(data, face)) == (split, meaning[digit])


@pytest.mark.parametrize("build", [trees.build_fer2013, trees.build_fer2013_train])
def test_fer2013_reads_every_row(build: Callable[[Path], None], tmp_path: Path) -> None:
    build(tmp_path)
    (file,) = tmp_path.iterdir()
    order = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    splits = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
    for data in (load_dataset(tmp_path), load_dataset(file)):
        with file.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert len(rows) == len(data) == 42
        # Sizes as published are per split: nothing to compare without one.
        assert bool(data.notes) == ("Usage" in rows[0])
        for line, (row, face) in enumerate(zip(rows, data.faces, strict=True), start=2):
            assert face.name == f"{file.name}:{line}"
            assert class_of(data, face) == order[int(row["emotion"])]
            assert face.split == (splits[row["Usage"]] if "Usage" in row else None)
            gray = np.array(row["pixels"].split(), int).reshape(48, 48)
            for channel in range(3):
                np.testing.assert_array_equal(data.read(face)[..., channel], gray)


@pytest.mark.parametrize("header", ["emotion, Usage, pixels", "Usage,pixels,emotion", "Pixels,EMOTION,usage"])
def test_fer2013_columns_may_be_in_another_order_and_case(header: str, tmp_path: Path) -> None:
    rows = trees.fer2013_rows()
    names = [name.strip().lower() for name in header.split(",")]
    lines = [
        ",".join(str({"emotion": emotion, "pixels": text, "usage": usage}[name]) for name in names)
        for emotion, text, usage in rows
    ]
    file = tmp_path / "icml_face_data.csv"
    file.write_text("\r\n".join([header, *lines]) + "\r\n")
    data = load_dataset(file)
    assert [face.label for face in data.faces] == [emotion for emotion, _, _ in rows]
    assert {face.split for face in data.faces} == {"train", "val", "test"}
    last = np.array(rows[-1][1].split(), np.uint8).reshape(48, 48)
    np.testing.assert_array_equal(data.read(data.faces[len(rows) - 1])[..., 0], last)


def test_fer2013_folders_are_ordered_like_the_csv_file_not_like_the_alphabet(tmp_path: Path) -> None:
    trees.build_fer2013_folders(tmp_path)
    (tmp_path / "train" / "sad").rename(tmp_path / "train" / "Sad")
    data = load_dataset(tmp_path)
    assert data.class_names[4:] == ("sadness", "surprise", "neutral")
    for face in data.faces:
        split, name, _ = face.name.split("/")
        assert (face.split, class_of(data, face)) == (split, NOUNS.get(name.lower(), name))


def test_ferplus_in_both_forms_has_the_same_labels(tmp_path: Path) -> None:
    labels = []
    for name in ("ferplus", "ferplus-folders", "ferplus-boxes"):
        BUILDERS[name][0](tmp_path / name)
        data = load_dataset(tmp_path / name)
        labels.append([(face.split, class_of(data, face)) for face in data.faces])
        assert any("6 images of unknown expression" in note for note in data.notes)
        assert any("3 images that the majority calls no face" in note for note in data.notes)
    assert labels[0] == labels[1] == labels[2]
    header = (tmp_path / "ferplus" / "fer2013new.csv").read_text().splitlines()[0].split(",")
    assert [name for split, name in labels[0] if split == "val"] == header[2:10] * 2


def test_ferplus_takes_the_pixels_of_the_same_row(tmp_path: Path) -> None:
    trees.build_ferplus(tmp_path)
    data = load_dataset(tmp_path)
    rows = (tmp_path / "fer2013.csv").read_text().splitlines()
    face = data.faces[-1]
    text = rows[int(face.name.partition(":")[2]) - 1].split(",")[1]
    np.testing.assert_array_equal(data.read(face)[..., 1].ravel(), np.array(text.split(), int))


def test_ckplus_takes_the_last_three_frames_of_labelled_sequences(tmp_path: Path) -> None:
    trees.build_ckplus(tmp_path)
    order = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
    for format, frames in (("ckplus", (3, 4, 5)), ("ckplus-neutral", (1, 3, 4, 5))):
        data = load_dataset(tmp_path, format)
        found = set()
        for face in data.faces:
            _, subject, sequence, file = face.name.split("/")
            frame = int(file[-12:-4])
            found.add((subject, sequence, frame))
            expected = "neutral" if frame == 1 else order[int(sequence)]
            assert (face.subject, face.split, class_of(data, face)) == (subject, None, expected)
        subjects = {"S005", "S010", "S015"}
        assert found == {(s, f"{c:03d}", f) for s in subjects for c in range(1, 8) for f in frames}


def test_ck48_knows_its_subjects(tmp_path: Path) -> None:
    trees.build_ck48(tmp_path / "CK+48")
    for path in (tmp_path, tmp_path / "CK+48"):
        data = load_dataset(path)
        for face in data.faces:
            folder, file = face.name.split("/")
            assert face.subject == file[:4]
            assert class_of(data, face) == NOUNS.get(folder, folder)
        assert len({face.subject for face in data.faces}) == trees.SUBJECTS


def test_jaffe_is_told_by_the_names(tmp_path: Path) -> None:
    trees.build_jaffe(tmp_path)
    trees.write_image(tmp_path / "montage.tiff")
    data = load_dataset(tmp_path)
    codes = dict(zip(("AN", "DI", "FE", "HA", "NE", "SA", "SU"), EXPRESSIONS, strict=True))
    assert len(data) == 42
    for face in data.faces:
        subject, code, _, _ = face.name.split(".")
        assert (face.subject, class_of(data, face)) == (subject, codes[code[:2]])
    assert any("montage.tiff" in note for note in data.notes)


@pytest.mark.parametrize("root", ["OriginalImg", "B_OriginalImg", "Oulu_CASIA_NIR_VIS"])
def test_oulu_casia_takes_the_last_three_frames_in_strong_light(root: str, tmp_path: Path) -> None:
    trees.build_oulu_casia(tmp_path, root)
    data = load_dataset(tmp_path)
    pattern = re.compile(rf"{re.escape(root)}/VL/Strong/(P\d{{3}})/(\w+)/00[123]\.jpeg")
    for face in data.faces:
        match = pattern.fullmatch(face.name)
        assert match is not None
        assert (face.subject, class_of(data, face)) == (match.group(1), match.group(2).lower())
    assert len(data) == trees.SUBJECTS * 6 * 3


def test_part_of_a_published_set_is_noted_and_its_full_size_is_not(tmp_path: Path) -> None:
    trees.build_oulu_casia(tmp_path)
    assert "the data set has 54 faces; as published it has 1,440" in load_dataset(tmp_path).notes
    strong = tmp_path / "OriginalImg" / "VL" / "Strong"
    for person in range(4, 81):
        shutil.copytree(
            strong / "P001", strong / f"P{person:03d}", copy_function=lambda a, b: Path(b).touch()
        )
    data = load_dataset(tmp_path)
    assert len(data) == 1440
    assert not data.notes
