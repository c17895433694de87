"""Wrong and half-unpacked trees: the message says what was expected, what was found and what to do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lnlattennet.data import load_dataset
from lnlattennet.errors import ImageError, UsageError
from tests.data import trees
from tests.data.checks import edit, message
from tests.data.trees import BUILDERS


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"rafdb, .*folder, got 'imagenet'"):
        load_dataset(tmp_path, "imagenet")


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in message(tmp_path / "nowhere")


@pytest.mark.parametrize("format", [format for _, format in BUILDERS.values()])
def test_an_empty_folder_is_refused_in_every_format(format: str, tmp_path: Path) -> None:
    text = message(tmp_path, format)
    assert "expected:" in text
    assert "an empty folder" in text


@pytest.mark.parametrize("format", sorted({format for _, format in BUILDERS.values()} - {"fer2013"}))
def test_a_file_is_refused_where_a_folder_is_needed(format: str, tmp_path: Path) -> None:
    trees.build_fer2013(tmp_path)
    assert "needs a folder" in message(tmp_path / "fer2013.csv", format)


def test_nothing_known_is_refused_with_the_layouts_and_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "videos" / "a").mkdir(parents=True)
    (tmp_path / "notes.txt").write_text("nothing")
    text = message(tmp_path)
    assert "no format matches" in text
    assert "videos/  (1 entries)" in text
    assert "notes.txt" in text
    for part in ("--format", "rafdb:", "affectnet-7:", "list_patition_label.txt", "KA.AN1.39.tiff"):
        assert part in text


@pytest.mark.parametrize(
    ("files", "fact"),
    [
        ((), "an empty folder"),
        (("notes.txt",), "a folder without images"),
        (("a.jpg",), "1 image without a folder for each class"),
        (("a.jpg", "b.png", "notes.txt"), "2 images without a folder for each class"),
    ],
)
def test_what_is_missing_is_told_before_the_layouts(
    tmp_path: Path, files: tuple[str, ...], fact: str
) -> None:
    for name in files:
        (tmp_path / name).touch()
    text = message(tmp_path)
    assert text.startswith(f"{tmp_path}: no format matches {fact}; choose one with --format\nfound:\n")
    assert text.index("found:") < text.index("known formats:")
    assert "1 files" not in text


def test_a_folder_with_two_data_sets_is_refused_with_both_names(tmp_path: Path) -> None:
    trees.build_rafdb(tmp_path)
    trees.build_jaffe(tmp_path)
    assert "several formats match (rafdb, jaffe)" in message(tmp_path)
    assert load_dataset(tmp_path, "jaffe").format == "jaffe"


def test_the_image_folder_of_rafdb_is_no_data_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees.build_rafdb(tmp_path)
    assert "EmoLabel/list_patition_label.txt is missing" in message(tmp_path / "Image")
    monkeypatch.chdir(tmp_path / "Image")
    assert "give the folder that holds this tree" in message(Path())
    assert load_dataset(tmp_path / "Image", "folder").class_names == ("aligned", "original")


@pytest.mark.parametrize("first", [0, 1])
def test_bare_digits_are_refused_with_both_orders(first: int, tmp_path: Path) -> None:
    trees.build_rafdb_digits(tmp_path, first)
    text = message(tmp_path)
    assert "--format rafdb-digits: 1 surprise, 2 fear, 3 disgust" in text
    assert "--format rafdb-digits0: 0 neutral, 1 happiness, 2 sadness" in text
    other = "rafdb-digits" if first == 0 else "rafdb-digits0"
    assert "train must have the folders" in message(tmp_path, other)


def test_missing_images_are_counted_and_named(tmp_path: Path) -> None:
    trees.build_rafdb(tmp_path)
    for number in (3, 5, 7, 8):
        (tmp_path / "Image" / "aligned" / f"test_{number:05d}_aligned.jpg").unlink()
    text = message(tmp_path)
    assert "the list names 28 images, 4 of them missing" in text
    assert "first: Image/aligned/test_00003_aligned.jpg" in text
    assert "train: surprise 2, fear 2," in text
    assert "test: surprise 1, fear 2, disgust 1," in text


def test_rafdb_without_its_list_or_with_a_broken_one_is_refused(tmp_path: Path) -> None:
    trees.build_rafdb(tmp_path)
    file = tmp_path / "EmoLabel" / "list_patition_label.txt"
    edit(file, lambda lines: lines.__setitem__(4, "train_00005.jpg 8"))
    assert "line 5 of EmoLabel/list_patition_label.txt must have" in message(tmp_path)
    file.unlink()
    assert "list_patition_label.txt is missing" in message(tmp_path)


def test_a_mirror_without_a_class_or_split_is_refused(tmp_path: Path) -> None:
    trees.build_rafdb_digits(tmp_path / "digits")
    shutil.rmtree(tmp_path / "digits" / "test" / "4")
    assert "test must have the folders 1 to 7, has 1, 2, 3, 5, 6, 7" in message(
        tmp_path / "digits", "rafdb-digits"
    )
    trees.build_fer2013_folders(tmp_path / "names")
    shutil.rmtree(tmp_path / "names" / "test" / "sad")
    text = message(tmp_path / "names")
    assert "no image of sadness in test" in text
    assert "sadness 0" in text


def test_a_cut_off_fer2013_is_refused(tmp_path: Path) -> None:
    trees.build_fer2013(tmp_path)
    file = tmp_path / "fer2013.csv"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) - 40])
    assert "line 43 of" in message(tmp_path)
    file.write_bytes(whole[: len(whole) // 2])
    assert "download it again" in message(tmp_path)
    lines = whole.decode().splitlines()
    file.write_text("\n".join(lines[:30]) + "\n")
    assert "no image of disgust, fear" in message(tmp_path)


def test_a_file_that_is_no_text_matches_no_format(tmp_path: Path) -> None:
    """In a binary file a carriage return may stand anywhere."""
    (tmp_path / "faces.npz").write_bytes(b"PK\x03\x04\r\x00,")
    assert "no format matches" in message(tmp_path / "faces.npz")


@pytest.mark.parametrize("content", ["", "PK\x03\x04", "emotion;images\n", "emotion,pixels\r0,1 2\r"])
@pytest.mark.parametrize("given", ["", "fer2013.csv"])
def test_an_empty_or_foreign_fer2013_is_known_by_its_name(given: str, content: str, tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_text(content, newline="")
    assert "is not a complete FER2013 data set: no csv file with the columns emotion" in message(
        tmp_path / given
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("3,", "7,", "emotion must be from 0 to 6, got '7'"),
        ("Training", "Practice", "Usage must be one of Training"),
    ],
)
def test_rows_of_fer2013_are_checked(old: str, new: str, expected: str, tmp_path: Path) -> None:
    trees.build_fer2013(tmp_path)
    edit(tmp_path / "fer2013.csv", lambda lines: lines.__setitem__(4, lines[4].replace(old, new)))
    if old == "3,":
        edit(tmp_path / "fer2013.csv", lambda lines: lines.__setitem__(4, "7" + lines[4][1:]))
    assert expected in message(tmp_path)


def test_pixel_counts_of_fer2013_are_checked(tmp_path: Path) -> None:
    trees.build_fer2013(tmp_path)
    edit(tmp_path / "fer2013.csv", lambda lines: lines.__setitem__(9, lines[9].replace(" ", "", 1)))
    assert "line 10 of" in message(tmp_path)
    assert "must have 2304 pixels, has 2303" in message(tmp_path)


@pytest.mark.parametrize("value", ["256", "-1", "x", "1.5"])
def test_pixels_of_fer2013_are_checked_when_they_are_read(value: str, tmp_path: Path) -> None:
    trees.build_fer2013(tmp_path)

    def spoil(lines: list[str]) -> None:
        emotion, pixels, usage = lines[9].split(",")
        numbers = pixels.split()
        numbers[700] = value
        lines[9] = ",".join([emotion, " ".join(numbers), usage])

    edit(tmp_path / "fer2013.csv", spoil)
    data = load_dataset(tmp_path)
    data.read(data.faces[7])
    with pytest.raises(ImageError, match=r"fer2013\.csv:10: the pixels must be 2304 numbers from 0 to 255"):
        data.read(data.faces[8])


def test_ferplus_needs_both_files_in_the_same_order(tmp_path: Path) -> None:
    trees.build_ferplus(tmp_path)
    edit(tmp_path / "fer2013.csv", lambda lines: lines.append(lines.pop(1)))
    assert "has Usage PublicTest and fer2013new.csv has Training in the same row" in message(tmp_path)
    edit(tmp_path / "fer2013.csv", lambda lines: lines.pop())
    assert "fer2013new.csv has 60 rows and fer2013.csv has 59" in message(tmp_path)
    (tmp_path / "fer2013.csv").unlink()
    assert "it needs fer2013new.csv and fer2013.csv" in message(tmp_path)


@pytest.mark.parametrize(
    "row", ["fer0000001.png,1,2,3", "fer0000001.png,1,2,3,4,5,6,7,8,9,x", ",1,2,3,4,5,6,7,8,9,0"]
)
def test_broken_votes_are_refused_by_line(row: str, tmp_path: Path) -> None:
    trees.build_ferplus_folders(tmp_path)
    edit(tmp_path / "FER2013Valid" / "label.csv", lambda lines: lines.__setitem__(1, row))
    text = message(tmp_path)
    assert "line 2 of" in text
    assert "label.csv must have" in text


def test_half_unpacked_ferplus_folders_are_refused(tmp_path: Path) -> None:
    trees.build_ferplus_folders(tmp_path)
    (tmp_path / "FER2013Train" / "fer0000002.png").unlink()
    assert "label.csv names 48 images, 1 of them missing" in message(tmp_path)
    shutil.rmtree(tmp_path / "FER2013Test")
    assert "FER2013Test/label.csv is missing" in message(tmp_path)


def test_half_unpacked_ckplus_is_refused(tmp_path: Path) -> None:
    trees.build_ckplus(tmp_path)
    sequence = tmp_path / "cohn-kanade-images" / "S010" / "002"
    # The labeled last frame is what makes a sequence whole, even if enough others are there.
    (sequence / "S010_002_00000005.png").unlink()
    assert "21 sequences have a label file, 1 of them lack frames" in message(tmp_path)
    assert "cohn-kanade-images/S010/002" in message(tmp_path)
    shutil.rmtree(tmp_path / "cohn-kanade-images")
    assert "cohn-kanade-images is missing" in message(tmp_path)


@pytest.mark.parametrize("label", ["8.0", "0.0000000e+00", "1.5", "happy", ""])
def test_labels_of_ckplus_are_checked(label: str, tmp_path: Path) -> None:
    trees.build_ckplus(tmp_path)
    (tmp_path / "Emotion" / "S005" / "003" / "S005_003_00000005_emotion.txt").write_text(label)
    assert "must hold a label from 1 to 7" in message(tmp_path)


def test_ckplus_without_images_or_labels_is_refused(tmp_path: Path) -> None:
    trees.build_ckplus(tmp_path)
    shutil.rmtree(tmp_path / "Emotion")
    assert "the folder of label files is missing" in message(tmp_path)


def test_ck48_with_missing_or_other_folders_is_refused(tmp_path: Path) -> None:
    trees.build_ck48(tmp_path)
    shutil.rmtree(tmp_path / "contempt")
    assert "no image of contempt" in message(tmp_path)
    trees.write_image(tmp_path / "neutral" / "S010_001_00000001.png")
    assert "unknown folders: neutral" in message(tmp_path, "ck48")
    shutil.rmtree(tmp_path / "neutral")
    trees.write_image(tmp_path / "fear" / "frame1.png")
    assert "1 images have no subject in their name, first: frame1.png" in message(tmp_path, "ck48")


def test_names_of_ck48_that_are_no_text_are_told_in_text(tmp_path: Path) -> None:
    trees.build_ck48(tmp_path)
    odd = (tmp_path / "fear").rename(tmp_path / os.fsdecode(b"od\xffd"))
    assert "unknown folders: od\ufffdd\n" in message(tmp_path, "ck48")
    fear = odd.rename(tmp_path / "fear")
    next(fear.iterdir()).rename(fear / os.fsdecode(b"fr\xffme.png"))
    assert "in their name, first: fr\ufffdme.png\n" in message(tmp_path, "ck48")


def test_jaffe_without_an_expression_is_refused(tmp_path: Path) -> None:
    trees.build_jaffe(tmp_path)
    for file in tmp_path.glob("*.SA*"):
        file.unlink()
    assert "no image of sadness" in message(tmp_path)


def test_half_unpacked_oulu_casia_is_refused(tmp_path: Path) -> None:
    trees.build_oulu_casia(tmp_path)
    strong = tmp_path / "OriginalImg" / "VL" / "Strong"
    shutil.rmtree(strong / "P002" / "Fear")
    (strong / "P003" / "Anger" / "000.jpeg").unlink()
    (strong / "P003" / "Anger" / "001.jpeg").unlink()
    text = message(tmp_path)
    assert "2 of these are missing or cut off" in text
    assert "OriginalImg/VL/Strong/P002/Fear, OriginalImg/VL/Strong/P003/Anger" in text
    assert "no split: anger 8, disgust 9, fear 6," in text
    shutil.rmtree(strong)
    assert "VL/Strong is missing" in message(tmp_path)


def test_a_folder_that_may_not_be_read_is_an_error_of_the_data(tmp_path: Path) -> None:
    trees.build_rafdb(tmp_path)
    file = tmp_path / "EmoLabel" / "list_patition_label.txt"
    file.write_bytes(b"\xff\xfe\x00 no text")
    assert "is not a UTF-8 text file" in message(tmp_path)
