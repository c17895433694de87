"""Files that arguments stand for."""

from __future__ import annotations

import io
import os
from itertools import islice
from pathlib import Path

import pytest

from lnlattennet.errors import UsageError
from lnlattennet.streams._content import read_content
from lnlattennet.streams.cluster._place import Place
from lnlattennet.streams.sources._files import Files
from lnlattennet.streams.sources._frames import frames
from lnlattennet.streams.sources._selection import Selection


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "deep/er/c.tiff", "deep/d.webp", ".git/e.jpg"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return Path("tree")


def test_a_folder_is_read_in_order_with_all_below(tree: Path) -> None:
    files = Files(["tree", "tree/notes.txt", "missing.jpg"])
    found = ["tree/a.PNG", "tree/b.jpg", "tree/deep/d.webp", "tree/deep/er/c.tiff"]
    assert list(files) == [*found, "tree/notes.txt", "missing.jpg"]
    assert files.left_out == 1
    assert list(files) == list(files)


def test_links_in_circles_have_an_end_and_no_folder_is_read_twice(tree: Path) -> None:
    (tree / "deep" / "circle").symlink_to(tree.resolve())
    (tree / "itself").symlink_to("itself")
    (tree / "zweite").symlink_to((tree / "deep").resolve())
    (tree / "link.jpg").symlink_to("b.jpg")
    (tree / "broken.jpg").symlink_to("nothing.jpg")
    names = list(islice(Files(["tree", "tree/deep"]), 100))
    assert len(names) == 6
    assert {"tree/link.jpg", "tree/broken.jpg"} < set(names)
    assert [Path(name).name for name in names].count("d.webp") == 1


def test_patterns_lists_and_names_that_look_like_them(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(Files(["tree/**/*.[tw]*[fp]"])) == ["tree/deep/d.webp", "tree/deep/er/c.tiff"]
    assert list(Files(["tree/*.gif"])) == ["tree/*.gif"]
    Path("@list").write_bytes(b"tree/b.jpg\r\n\ntree/deep\n" + os.fsencode("caf\udce9 [1].jpg"))
    listed = ["tree/b.jpg", "tree/deep/d.webp", "tree/deep/er/c.tiff", "caf\udce9 [1].jpg"]
    assert list(Files(["@@list"])) == listed
    assert list(Files(["@list"])) == ["@list"]
    with pytest.raises(UsageError, match="cannot read the list none: No such file"):
        list(Files(["@none"]))
    Path("zeros").write_bytes(b"tree/b.jpg\0tree/a.PNG\0")
    with pytest.raises(UsageError, match=r"the list zeros has a zero byte.* find does without -print0"):
        list(Files(["@zeros"]))

    class Stdin:
        buffer = io.BytesIO(b"tree/b.jpg\n-\n")

    monkeypatch.setattr("sys.stdin", Stdin)
    files = Files(["@-"])
    assert not files.repeatable
    assert list(files) == ["tree/b.jpg", "-"]
    assert Files(["-", "tree"]).repeatable


def test_a_name_that_is_too_long_is_a_row_and_stops_nothing(tree: Path) -> None:
    names = [f"{'x' * 300}.jpg", f"{'y' * 300}.mp4", "1" * 300]
    Path("@list").write_text("\n".join([*names, "tree/b.jpg"]))
    listed = list(Files(["@@list"]))
    assert listed == [*names, "tree/b.jpg"]
    found = [frame for name in listed for frame in frames(name, Selection())]
    assert [frame.source for frame in found] == listed
    contents = [read_content(frame) for frame in found]
    assert contents == [
        "cannot read the file: File name too long",
        "cannot open the video: File name too long; check the path or address",
        "cannot open the camera: file name too long; check its address, user and password",
        b"",
    ]


def test_an_empty_name_is_refused_and_not_the_current_folder() -> None:
    with pytest.raises(UsageError, match="must have a name, got an empty one"):
        Files(["face.jpg", ""])
    with pytest.raises(UsageError, match="must not be empty"):
        Place.of("")


@pytest.mark.parametrize("arguments", [["@-", "-"], ["@-", "face.jpg", "@-"], ["-", "-"]])
def test_standard_input_is_read_once(arguments: list[str]) -> None:
    with pytest.raises(UsageError, match="standard input can be read once"):
        Files(arguments)


def test_a_file_is_named_as_often_as_it_is_given(tree: Path) -> None:
    assert list(Files(["tree/b.jpg", "tree/b.jpg"])) == ["tree/b.jpg"] * 2
