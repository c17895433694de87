"""WebDataset shards: what package webdataset and tar write is read; what breaks a rule is named."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import numpy as np
import pytest

from lnlattennet.data import load_dataset
from lnlattennet.errors import ImageError
from lnlattennet.images import _whole_file
from tests.data import trees
from tests.data.checks import message
from tests.data.trees import pixels, png, write_shard


def test_every_face_has_the_pixels_class_and_split_of_its_sample(tmp_path: Path) -> None:
    trees.build_webdataset(tmp_path)
    data = load_dataset(tmp_path)
    assert (data.format, data.class_names, len(data)) == ("webdataset", ("calm", "frown", "grin"), 24)
    face = data.faces[0]
    assert (face.name, face.split) == ("train-000000.tar/0000.png", "train")
    assert data.class_names[face.label] == "calm"
    assert np.array_equal(data.read(face), pixels("train/0/0"))
    last = data.faces[-1]
    assert (last.name, last.split, data.class_names[last.label]) == (
        "val-000001.tar/0005.png",
        "val",
        "frown",
    )
    assert np.array_equal(data.read(last), pixels("val/1/5"))


def test_numbers_stand_for_the_lines_of_classnames(tmp_path: Path) -> None:
    trees.build_webdataset(tmp_path, splits=("shard",), classes=("2", "0", "1"))
    text = message(tmp_path)
    assert ".cls files hold numbers, and there is no classnames.txt that names them" in text
    (tmp_path / "classnames.txt").write_text("neutral\nhappiness\nanger\n")
    data = load_dataset(tmp_path)
    assert data.class_names == ("neutral", "happiness", "anger")
    assert [face.label for face in data.faces[:3]] == [2, 0, 1]
    assert {face.split for face in data.faces} == {None}
    (tmp_path / "classnames.txt").write_text("neutral\nhappiness\n")
    assert "classnames.txt names 2 classes, and a .cls file holds 2" in message(tmp_path)
    (tmp_path / "classnames.txt").write_text("a\nb\nc\nd\n")
    assert "no image of d" in message(tmp_path)


def test_shards_may_lie_in_folders_of_splits(tmp_path: Path) -> None:
    samples = {"a": (png("a"), "calm"), "b": (png("b"), "grin")}
    write_shard(tmp_path / "training" / "0.tar", samples)
    write_shard(tmp_path / "test" / "0.tar", samples)
    data = load_dataset(tmp_path)
    assert [(face.name, face.split) for face in data.faces] == [
        ("test/0.tar/a.png", "test"),
        ("test/0.tar/b.png", "test"),
        ("training/0.tar/a.png", "train"),
        ("training/0.tar/b.png", "train"),
    ]


def test_other_members_are_left_out_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "a.jpg.json").write_text("{}")
    samples = {"a": (png("a"), "calm"), "b": (png("b"), "grin")}
    write_shard(tmp_path / "0.tar", samples)
    with tarfile.open(tmp_path / "0.tar", "a") as archive:
        archive.add(tmp_path / "a.jpg.json", "b.json")
    data = load_dataset(tmp_path)
    assert len(data) == 2
    assert any("0.tar/b.json" in note for note in data.notes)


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ([("a.png", b"")], "must have one image and one .cls file, got a.png"),
        ([("a.cls", b"calm")], "one .cls file, got a.cls"),
        ([("a.png", b""), ("a.jpg", b""), ("a.cls", b"calm")], "got a.png, a.jpg, a.cls"),
        ([("a.png", b""), ("a.cls", b"")], "a.cls must hold the name of a class, or its number, got 0 bytes"),
        (
            [("a.png", b""), ("b.png", b""), ("a.cls", b"calm")],
            "must have one image and one .cls file, got a.png",
        ),
        (
            [
                ("a.png", b""),
                ("a.cls", b"x"),
                ("b.png", b""),
                ("b.cls", b"y"),
                ("a.png", b""),
                ("a.cls", b"x"),
            ],
            "has the key a in two places",
        ),
        (
            [("a.png", b""), ("a.cls", b"calm"), ("b.png", b""), ("b.cls", b"3")],
            "some .cls files hold a class's number and some a name: 3, calm",
        ),
        (
            [("a.png", b""), ("a.cls", b"calm"), ("b.png", b""), ("b.cls", b"Calm")],
            "differ in case only, in spaces, or in the Unicode form of their accents: Calm, calm",
        ),
    ],
)
def test_a_sample_that_breaks_a_rule_is_named(
    members: list[tuple[str, bytes]], rule: str, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / "train-0.tar", "w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            (tmp_path / "content").write_bytes(data)
            with (tmp_path / "content").open("rb") as stream:
                archive.addfile(member, stream)
    (tmp_path / "content").unlink()
    assert rule in message(tmp_path)


def test_a_shard_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    trees.build_webdataset(tmp_path)
    shard = tmp_path / "val-000000.tar"
    whole = shard.read_bytes()
    with tarfile.open(shard) as archive:
        first_of_second = archive.getmembers()[2].offset
    for length in (first_of_second, first_of_second + 100, first_of_second + 600, len(whole) // 2, 10):
        shard.write_bytes(whole[:length])
        text = message(tmp_path)
        assert "val-000000.tar is damaged, cut off" in text, length
        assert "download it again" in text
    shard.write_bytes(gzip.compress(whole))
    assert "or decompress it" in message(tmp_path)


def test_an_unreadable_image_is_named_when_it_is_read(tmp_path: Path) -> None:
    samples = {"a": (png("a"), "calm"), "b": (b"no image", "grin")}
    write_shard(tmp_path / "0.tar", samples)
    data = load_dataset(tmp_path)
    with pytest.raises(ImageError, match=r"0\.tar/b\.png"):
        data.read(data.faces[1])


def test_an_image_larger_than_any_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_whole_file, "LARGEST_FILE", 10)
    write_shard(tmp_path / "0.tar", {"a": (png("a"), "calm"), "b": (png("b"), "grin")})
    data = load_dataset(tmp_path)
    with pytest.raises(ImageError, match=r"0\.tar/a\.png: an image file may have at most 10 bytes"):
        data.read(data.faces[0])


def test_splits_beside_other_shards_are_refused(tmp_path: Path) -> None:
    trees.build_webdataset(tmp_path, splits=("train", "extra"))
    text = message(tmp_path)
    assert "shards without a split in their name beside those with one: extra-000000.tar" in text


def test_an_archive_beside_its_unpacked_folders_is_no_shard(tmp_path: Path) -> None:
    trees.build_folder(tmp_path, splits=())
    write_shard(tmp_path / "faces.tar", {"a": (png("a"), "calm")})
    assert load_dataset(tmp_path).format == "folder"
