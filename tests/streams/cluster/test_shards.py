"""Folders, Parquet and tar files become shards and rows: one row for each image, whatever is wrong."""

from __future__ import annotations

import dataclasses
import os
import pickle
import socket
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet
import pytest
from fsspec.implementations.local import LocalFileSystem

from lnlattennet._version import __version__
from lnlattennet.errors import DataError, UnreachableError, UsageError
from lnlattennet.serving._predictor import load
from lnlattennet.streams.cluster._place import Place
from lnlattennet.streams.cluster._read import frames
from lnlattennet.streams.cluster._score import ScoreOptions, score
from lnlattennet.streams.cluster._shards import plan_shards
from lnlattennet.streams.tables._reading import open_table
from tests.streams.cluster.scoring import jpeg, rows_in, score_here, write_parquet, write_tar


@pytest.fixture(scope="module")
def faces() -> list[bytes]:
    return [jpeg(seed) for seed in range(6)]


def test_a_folder_is_a_row_for_each_image(bundle_path: Path, faces: list[bytes], tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    (folder / "b").mkdir(parents=True)
    for number, data in enumerate(faces):
        (folder / f"{number}.jpg").write_bytes(data)
    (folder / "b/same.JPG").write_bytes(faces[0])
    (folder / "b/cut.jpg").write_bytes(faces[1][:900])
    (folder / "b/empty.png").write_bytes(b"")
    (folder / "b/text.png").write_text("no image")
    (folder / "b/nowhere.jpg").symlink_to("missing")
    (folder / "b/circle").symlink_to("..")
    os.mkfifo(folder / "b/pipe.jpg")
    for number in range(20):
        (folder / f"notes{number}.txt").write_text("text")

    plan = plan_shards([Place.of(str(folder))], 4, "image")
    assert plan.others == 20
    results, rows = score_here(bundle_path, [str(folder)], str(tmp_path / "out"))
    assert [(result.images, result.unreadable) for result in results] == [(4, 0), (4, 2), (4, 3)]
    assert [row["source"] for row in rows] == sorted(
        str(path) for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png")
    )
    assert [row.source for row in open_table(tmp_path / "out").rows()] == [row["source"] for row in rows]
    by_name = {Path(row["source"]).name: row for row in rows}
    assert {name for name, row in by_name.items() if row["status"] == "unreadable"} == {
        "cut.jpg", "empty.png", "text.png", "nowhere.jpg", "pipe.jpg",
    }  # fmt: skip
    assert not by_name["cut.jpg"]["message"].startswith("image 0")
    assert "no file" in by_name["nowhere.jpg"]["message"]
    # The same answers as in one process, also of the copy.
    answer = load(bundle_path).predict(faces[0])
    for name in ("0.jpg", "same.JPG"):
        row = by_name[name]
        assert (row["label"], row["right"]) == (answer.label, answer.face_box[2])
        assert row["model_hash"] == answer.model_hash
        probabilities = [row[f"probability_{label}"] for label in answer.probabilities]
        assert probabilities == pytest.approx(list(answer.probabilities.values()), abs=1e-5)


def test_parquet_cells_are_bytes_paths_or_both(bundle_path: Path, faces: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "face.jpg").write_bytes(faces[5])
    path = str(tmp_path / "face.jpg")
    write_parquet(tmp_path / "a.parquet", [*faces, None, b"no image"])
    write_parquet(tmp_path / "b.parquet", ["face.jpg", path, f"file://{path}", "missing.jpg", "foo://a/b"])
    write_parquet(tmp_path / "c.parquet", [{"bytes": faces[5], "path": "x"}, {"bytes": None, "path": path}])
    write_parquet(tmp_path / "empty.parquet", [])
    # Damaged where the rows are known, and where they are not.
    whole = (tmp_path / "a.parquet").read_bytes()
    second = pyarrow.parquet.read_metadata(tmp_path / "a.parquet").row_group(1).column(0)
    start = second.dictionary_page_offset
    (tmp_path / "d.parquet").write_bytes(whole[:start] + b"\xff" * 60 + whole[start + 60 :])
    (tmp_path / "e.parquet").write_bytes(whole[:-9])
    sources = [str(tmp_path / f"{name}.parquet") for name in ("a", "b", "c", "d", "e", "empty")]
    _, rows = score_here(bundle_path, sources, str(tmp_path / "out"), images=5)
    unreadable: dict[str, list[bool]] = {}
    for row in rows:
        file, _, _ = row["source"].removeprefix(f"{tmp_path}/").partition("/")
        unreadable.setdefault(file, []).append(row["status"] == "unreadable")
    assert unreadable["a.parquet"] == [False] * 6 + [True] * 2
    # A row tells the image's own path, where a cell holds one.
    assert unreadable["face.jpg"] == [False] * 3
    assert unreadable["file:"] == [False]
    assert unreadable["missing.jpg"] == [True]
    assert unreadable["b.parquet"] == [True]
    assert unreadable["c.parquet"] == [False]
    assert len(unreadable["d.parquet"]) == 8
    assert unreadable["d.parquet"][:4] == [False] * 4
    assert any(unreadable["d.parquet"][4:])
    assert unreadable["e.parquet"] == [True]


def test_a_path_that_no_file_can_have_costs_its_own_row(faces: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "face.jpg").write_bytes(faces[0])
    write_parquet(tmp_path / "long.parquet", ["face.jpg", "x" * 300, "face.jpg"])
    cells = pyarrow.array([b"face.jpg", b"caf\xe9.jpg", b"face.jpg"]).view(pyarrow.string())
    pyarrow.parquet.write_table(pyarrow.table({"image": cells}), tmp_path / "latin.parquet")
    for name, reason in (("long", "it is no file"), ("latin", "must be text in UTF-8")):
        (shard,) = plan_shards([Place.of(str(tmp_path / f"{name}.parquet"))], 10, "image").shards
        first, bad, last = (frame.image for frame in frames(shard, "image"))
        assert first == last == faces[0]
        assert reason in str(bad)


def test_tar_members_are_rows_up_to_where_it_is_cut(
    bundle_path: Path, faces: list[bytes], tmp_path: Path
) -> None:
    members = {f"{number:03}.jpg": data for number, data in enumerate(faces)} | {"000.cls": b"3"}
    whole = write_tar(tmp_path / "a.tar", members)
    write_tar(tmp_path / "b.tar.gz", members)
    data = whole.read_bytes()
    second = data.find(b"002.jpg\0")
    (tmp_path / "c.tar").write_bytes(data[:second])  # between two members
    (tmp_path / "d.tar").write_bytes(data[: second + 900])
    (tmp_path / "e.tar.gz").write_bytes((tmp_path / "b.tar.gz").read_bytes()[:20000])
    _, rows = score_here(bundle_path, [str(tmp_path)], str(tmp_path.parent / f"{tmp_path.name}-out"))
    found: dict[str, list[str]] = {}
    for row in rows:
        name = row["source"].removeprefix(f"{tmp_path}/").split("/")
        found.setdefault(name[0], []).append("image" if len(name) == 2 else "damaged")
    assert found["a.tar"] == found["b.tar.gz"] == ["image"] * 6
    assert found["c.tar"] == found["d.tar"] == ["image"] * 2 + ["damaged"]
    assert found["e.tar.gz"][-1] == "damaged"


def test_names_that_are_not_utf_8_are_scored(bundle_path: Path, faces: list[bytes], tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    folder = tmp_path / odd
    folder.mkdir()
    (folder / f"{odd}.jpg").write_bytes(faces[0])
    (folder / "b.jpg").write_bytes(faces[1])
    write_tar(folder / f"{odd}.tar", {f"{odd}.jpg": faces[2]})
    (folder / f"{odd}.parquet").write_bytes(write_parquet(tmp_path / "c.parquet", [faces[3]]).read_bytes())
    results, rows = score_here(bundle_path, [str(folder)], str(tmp_path / "out"))
    assert not any(result.error for result in results)
    names = {Path(row["source"]).relative_to(tmp_path).as_posix() for row in rows}
    assert names == {
        "caf�/b.jpg", "caf�/caf�.jpg", "caf�/caf�.tar/caf�.jpg", "caf�/caf�.parquet/0",
    }  # fmt: skip
    assert {row["status"] for row in rows} == {"ok"}


def test_what_cannot_be_scored_is_refused(faces: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("text")
    write_parquet(tmp_path / "a.parquet", faces, name="photo")
    for source, error, message in (
        (tmp_path / "missing", DataError, "no file or folder"),
        (tmp_path / "notes.txt", UsageError, "by its ending"),
        (tmp_path / "a.parquet", UsageError, "no column 'image'; it has photo, id"),
        ("foo://bucket/x", UsageError, "no file system is known for foo"),
        ("s3://bucket/x?nonsense=1", UsageError, "nonsense"),
    ):
        with pytest.raises(error, match=message):
            plan_shards([Place.of(str(source))], 4, "image")
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(DataError, match="no image among 1 file;"):
        plan_shards([Place.of(str(tmp_path))], 4, "image")
    write_parquet(tmp_path / "empty.parquet", [])
    with pytest.raises(DataError, match="no image among 2 files"):
        plan_shards([Place.of(str(tmp_path))], 4, "image")


def test_hidden_files_of_a_store_are_left_out(tmp_path: Path) -> None:

    class Store(LocalFileSystem):  # type: ignore[misc]
        protocol = "store"

    fsspec.register_implementation("store", Store)
    folder = tmp_path / ".data"
    for name in ("a.jpg", ".b.jpg", ".c/d.jpg", "e/.f.jpg", "e/g.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    for source in (str(folder), f"store://{folder}"):
        plan = plan_shards([Place.of(source)], 4, "image")
        assert [shard.files for shard in plan.shards] == [("a.jpg", "e/g.jpg")]


def test_a_place_tells_no_password() -> None:
    place = Place.of("s3://key:secret@bucket/faces/list.parquet?region=eu-north-1&scheme=http")
    assert place.name == "s3://bucket/faces/list.parquet"
    assert place.inner == "bucket/faces/list.parquet"
    assert (place / "0").name == "s3://bucket/faces/list.parquet/0"
    beside = place.beside("s3://bucket/other/a.jpg")
    assert (beside.inner, beside.filesystem) == ("bucket/other/a.jpg", place.filesystem)
    assert place.beside("../b.jpg").inner == "bucket/b.jpg"
    assert pickle.loads(pickle.dumps(place)).filesystem.region == "eu-north-1"  # noqa: S301


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_a_store_that_fails_is_asked_again(
    kind: str, faces: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    class Flaky(LocalFileSystem):  # type: ignore[misc]
        protocol = f"flaky-{kind}"
        failures = 2

        def _open(self, *args: Any, **kwargs: Any) -> Any:
            if Flaky.failures:
                Flaky.failures -= 1
                raise OSError("503 slow down")
            return super()._open(*args, **kwargs)

    fsspec.register_implementation(f"flaky-{kind}", Flaky)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    if kind == "tar":
        write_tar(tmp_path / "a.tar", {"0.jpg": faces[0], "1.jpg": faces[1]})
    else:
        (tmp_path / "0.jpg").write_bytes(faces[0])
        (tmp_path / "1.jpg").write_bytes(faces[1])
    (shard,) = plan_shards([Place.of(f"flaky-{kind}://{tmp_path}")], 4, "image").shards
    assert not shard.root.is_local
    assert [frame.image for frame in frames(shard, "image")] == faces[:2]
    Flaky.failures = 1000
    with pytest.raises(UnreachableError, match="3 attempts: 503 slow down"):
        list(frames(shard, "image"))


def test_a_run_that_cannot_begin_leaves_nothing(
    bundle_path: Path, faces: list[bytes], tmp_path: Path
) -> None:
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces/0.jpg").write_bytes(faces[0])
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        options = ScoreOptions(
            sources=[str(tmp_path / "faces")],
            bundle=bundle_path,
            output=str(tmp_path / "out"),
            cluster=address,
        )
        for made_before in (False, True):
            if made_before:
                (tmp_path / "out").mkdir()
            with pytest.raises(UnreachableError, match=f"no Ray cluster answers at {address}"):
                score(options)
            assert (tmp_path / "out").exists() == made_before
            assert not list((tmp_path / "out").glob("*"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces", "out"]


def test_a_table_is_gone_on_with_if_it_is_the_same(
    bundle_path: Path, faces: list[bytes], tmp_path: Path
) -> None:
    (tmp_path / "faces").mkdir()
    for number, data in enumerate(faces):
        (tmp_path / f"faces/{number}.jpg").write_bytes(data)
    out = tmp_path / "out"
    source = str(tmp_path / "faces")
    results, rows = score_here(bundle_path, [source], str(out), may_begin=lambda shard: shard != 1)
    assert "ended every worker" in results[1].error
    assert not results[1].fatal
    assert len(rows) == 4
    same = ScoreOptions(sources=[source], bundle=bundle_path, output=str(out), shard_images=4)
    again = dataclasses.replace(same, resume=True)
    with pytest.raises(UsageError, match="go on with it by --resume"):
        score(same)
    with pytest.raises(UsageError, match="another version of lnlattennet"):
        score(again)
    manifest = (out / "_manifest.json").read_text()
    (out / "_manifest.json").write_text(manifest.replace('"version": "0"', f'"version": "{__version__}"'))
    with pytest.raises(UsageError, match="another --max-faces"):
        score(dataclasses.replace(again, max_faces=2))
    with pytest.raises(UsageError, match="another --column"):
        score(dataclasses.replace(again, column="thumbnail"))
    with pytest.raises(UsageError, match=r"--resume: .* other images, or by another --shard: run with what"):
        score(dataclasses.replace(again, shard_images=5))
    (tmp_path / "faces/0.jpg").write_bytes(faces[0] + b"\0")
    with pytest.raises(UsageError, match="was made by other images"):
        score(again)
    (tmp_path / "faces/0.jpg").write_bytes(faces[0])
    (out / "_manifest.json").write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        score(again)
    linked = tmp_path / "linked"
    linked.symlink_to(tmp_path / "faces")
    for place, message in (
        (source, "holds other files|lies in the source"),
        (str(tmp_path / "faces/out"), "lies in the source"),
        (str(tmp_path / "faces/0.jpg"), "lies in the source"),
        (str(linked / "out"), "lies in the source"),
        ((tmp_path / "faces/out").as_uri(), "lies in the source"),
        (str(tmp_path), "holds other files"),
    ):
        with pytest.raises(UsageError, match=message):
            score(dataclasses.replace(same, output=place))
    assert rows_in(Place.of(str(out))) == rows
