"""What systems leave in folders, and entries that are no files: passed over or named, never waited for."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from lnlattennet.data import load_dataset
from lnlattennet.data._face_images import read_faces
from lnlattennet.data._files import images_below
from lnlattennet.data.inspect._inspection import inspect_data
from lnlattennet.errors import DataError, ImageError
from lnlattennet.model._preprocessing import Preprocessing
from tests.data import trees

LEFT_BY_SYSTEMS = [
    "@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "$RECYCLE.BIN", "RECYCLER",
    "System Volume Information", "FOUND.000", "lost+found", "LOST.DIR", "__MACOSX", ".Trashes",
    ".ipynb_checkpoints", "__pycache__", "Network Trash Folder", "~snapshot",
]  # fmt: skip


@pytest.mark.parametrize("name", LEFT_BY_SYSTEMS)
@pytest.mark.parametrize("place", ["", "train/", "train/calm/"])
def test_folders_of_systems_are_no_classes_and_their_images_no_faces(
    name: str, place: str, tmp_path: Path
) -> None:
    trees.build_folder(tmp_path)
    faces = load_dataset(tmp_path).faces
    trees.write_image(tmp_path / f"{place}{name}" / "SYNOPHOTO_THUMB_M.jpg")
    data = load_dataset(tmp_path)
    assert (data.faces, data.class_names) == (faces, ("calm", "frown", "grin"))
    assert any(f"{place}{name}" in note for note in data.notes)
    assert images_below(tmp_path) == sorted(face.name for face in faces)


@pytest.mark.parametrize(
    "format", ["jaffe", "ck48", "fer2013-folders", "oulu-casia", "ckplus", "rafdb-digits"]
)
def test_published_sets_pass_over_them_too(format: str, tmp_path: Path) -> None:
    trees.BUILDERS[format][0](tmp_path)
    faces = load_dataset(tmp_path, format).faces
    for folder in [tmp_path, *(path for path in sorted(tmp_path.rglob("*")) if path.is_dir())]:
        for name in ("@eaDir", "lost+found"):
            trees.write_image(folder / name / "S005_001_00000099.png")
    assert load_dataset(tmp_path, format).faces == faces


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def make_longer_loop(path: Path) -> None:
    path.with_name("other.png").symlink_to(path.name)
    path.symlink_to("other.png")


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_socket(path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    here = os.open(path.parent, os.O_RDONLY)
    try:  # the path may be longer than a socket's address
        server.bind(f"/proc/self/fd/{here}/{path.name}")
    finally:
        os.close(here)
        server.close()


def make_broken_link(path: Path) -> None:
    path.symlink_to("nowhere.png")


@pytest.mark.parametrize(
    "make", [make_fifo, make_loop, make_longer_loop, make_device, make_socket, make_broken_link]
)
def test_an_entry_that_is_no_file_is_named_and_the_others_are_read(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    trees.build_folder(tmp_path)
    odd = tmp_path / "train" / "calm" / "odd.png"
    make(odd)
    data = load_dataset(tmp_path)
    inspection = inspect_data(data)
    assert "train/calm/odd.png" in inspection.unreadable
    assert str(odd) in inspection.unreadable["train/calm/odd.png"]
    assert len(inspection.sizes) == 18
    for number in range(32):
        trees.write_image(tmp_path / "test" / "calm" / f"more{number}.png")
    with pytest.raises(ImageError, match=r"odd\.png|other\.png"):
        read_faces(tmp_path, Preprocessing(size=16), 100, "as-is")


def test_a_fifo_in_a_published_set_is_named_too(tmp_path: Path) -> None:
    for build, face in ((trees.build_rafdb, 3), (trees.build_affectnet, 3)):
        folder = tmp_path / build.__name__
        build(folder)
        data = load_dataset(folder)
        file = folder / data.faces[face].name
        file.unlink()
        os.mkfifo(file)
        with pytest.raises(ImageError, match=f"{file.name} is no file but a folder, FIFO"):
            data.read(data.faces[face])


def test_a_folder_in_a_loop_of_links_is_passed_over_by_name(tmp_path: Path) -> None:
    trees.build_folder(tmp_path)
    make_loop(tmp_path / "again")
    (tmp_path / "train" / "calm" / "up").symlink_to(tmp_path)
    data = load_dataset(tmp_path)
    assert len(data) == 18
    assert any("again" in note for note in data.notes)


def test_images_are_found_in_linked_folders_once_and_in_every_kind_of_file(tmp_path: Path) -> None:
    trees.build_jaffe(tmp_path / "elsewhere")
    trees.build_folder(tmp_path / "faces", (), suffix=".webp")
    (tmp_path / "faces" / "jaffe").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "faces" / "calm" / "up").symlink_to(tmp_path / "faces")
    assert len(images_below(tmp_path / "faces")) == 42 + 6
    assert len(read_faces(tmp_path / "faces", Preprocessing(size=16), 100, "as-is")) == 48


def test_a_folder_that_may_not_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees.build_folder(tmp_path)
    real = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "grin":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    for read in (load_dataset, images_below):
        with pytest.raises(DataError, match=r"cannot read .*(train|test)/grin: Permission denied"):
            read(tmp_path)
