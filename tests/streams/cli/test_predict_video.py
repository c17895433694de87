"""`lnlattennet predict` on videos and cameras, run as a user runs it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from lnlattennet.errors import UsageError
from lnlattennet.streams._frame import Frame
from lnlattennet.streams._rows import Row
from lnlattennet.streams.cli._moving import Kinds, Moving, batch_of
from lnlattennet.streams.cli._predict import predict
from lnlattennet.streams.sources._files import FOLDER_SUFFIXES, Files
from lnlattennet.streams.sources._selection import Selection
from lnlattennet.streams.tables._journal import Journal
from lnlattennet.streams.tracks._names import Smoothing
from tests.streams.cameras import camera
from tests.streams.films import images, write_film

pytestmark = pytest.mark.usefixtures("own_logging")

# Uneven, and with a cut in the middle.
TIMES = [index / 30 + (0.2 if index > 7 else 0) for index in range(22)]


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes would take longer to start than these films to judge."""
    monkeypatch.setenv("LNLATTENNET_THREADS", "1")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return write_film(path, [*images(12, seed=7), *images(10, seed=5)], TIMES)


def run(*arguments: object) -> Any:
    app = typer.Typer()
    app.command()(predict)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "120"})


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def overlay_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time or 0.0 for frame in container.decode(video=0)]


def test_every_frame_has_its_row_time_and_person(bundle_path: Path, film: Path, tmp_path: Path) -> None:
    table, drawn = tmp_path / "rows.jsonl", tmp_path / "drawn.mp4"
    result = run(film, "--bundle", bundle_path, "--output", table, "--overlay", drawn)
    assert result.exit_code == 0, result.output
    assert "rows.jsonl: 22 frames, rows: 22 ok" in result.output
    assert f"wrote {drawn}\n" in result.stderr
    found = rows(table)
    assert [row["frame"] for row in found] == list(range(22))
    np.testing.assert_allclose([row["time"] for row in found], TIMES, atol=0.001)
    assert {row["status"] for row in found} == {"ok"}
    assert [row["track"] for row in found] == [0] * 12 + [1] * 10
    smoothed = [[row[key] for key in row if key.startswith("smoothed_")] for row in found]
    np.testing.assert_allclose(np.sum(smoothed, axis=1), 1, atol=1e-5)
    raw = [[row[key] for key in row if key.startswith("probability_")] for row in found]
    assert smoothed[0] == raw[0]
    assert smoothed[12] == raw[12]
    np.testing.assert_allclose(overlay_times(drawn), TIMES, atol=0.001)


def test_two_processes_give_the_rows_of_one(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = write_film(tmp_path / "small.h264", images(8))
    large = write_film(tmp_path / "large.h264", images(4, width=280, height=220))
    film = tmp_path / "film.h264"
    film.write_bytes(small.read_bytes() + large.read_bytes())
    assert run(film, "--bundle", bundle_path, "--output", tmp_path / "one.jsonl").exit_code == 0
    monkeypatch.setenv("LNLATTENNET_THREADS", "2")
    assert run(film, "--bundle", bundle_path, "--output", tmp_path / "two.jsonl").exit_code == 0
    assert len(rows(tmp_path / "two.jsonl")) == 12
    assert rows(tmp_path / "two.jsonl") == rows(tmp_path / "one.jsonl")


def test_of_images_beside_a_video_only_the_images_have_files_of_weights(
    bundle_path: Path, film: Path, tmp_path: Path
) -> None:
    mixed, drawn = tmp_path / "mixed", tmp_path / "drawn"
    mixed.mkdir()
    (mixed / "a.mp4").symlink_to(film)
    Image.fromarray(next(images(1))).save(mixed / "a.png")
    result = run(mixed, "--bundle", bundle_path, "--output", tmp_path / "rows.jsonl", "--overlay", drawn)
    assert result.exit_code == 0, result.output
    assert len(rows(tmp_path / "rows.jsonl")) == 23
    assert f"wrote 1 overlay to {drawn}\n" in result.stderr
    assert [path.name for path in drawn.iterdir()] == ["a-overlay.png"]
    with Image.open(drawn / "a-overlay.png") as image:
        assert image.width >= 480


def test_frames_can_be_chosen(bundle_path: Path, film: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.jsonl"
    result = run(
        *(film, "--bundle", bundle_path, "--output", table, "--every", 3, "--start", "0:00.1", "--end", 0.6)
    )
    assert result.exit_code == 0, result.output
    assert [row["frame"] for row in rows(table)] == [3, 6, 9]


@pytest.mark.parametrize("kept", [1, 17])
def test_a_run_that_was_stopped_goes_on_with_the_same_rows(
    bundle_path: Path, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    whole, table, drawn = tmp_path / "whole.jsonl", tmp_path / "rows.jsonl", tmp_path / "drawn.mp4"
    options = ("--bundle", bundle_path, "--smooth", "hmm")
    assert run(film, *options, "--output", whole).exit_code == 0
    add, count = Journal.add, 0

    def add_or_stop(journal: Journal, some: Iterable[Row]) -> None:
        nonlocal count
        count += 1
        if count > kept:
            raise KeyboardInterrupt
        add(journal, some)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", add_or_stop)
        assert run(film, *options, "--output", table, "--overlay", drawn).exit_code == 130
    assert not table.exists()
    result = run(film, *options, "--output", table, "--overlay", drawn, "--resume")
    assert result.exit_code == 0, result.output
    assert rows(table) == rows(whole)
    np.testing.assert_allclose(overlay_times(drawn), TIMES, atol=0.001)


def test_a_camera_that_is_stopped_leaves_its_table(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing could go on with its rows: a camera does not have the same frames again."""
    film, table = write_film(tmp_path / "film.ts", images(24)), tmp_path / "rows.jsonl"
    add, count = Journal.add, 0

    def add_or_stop(journal: Journal, some: Iterable[Row]) -> None:
        nonlocal count
        count += 1
        if count > 1:
            raise KeyboardInterrupt
        add(journal, some)

    monkeypatch.setattr(Journal, "add", add_or_stop)
    with camera(film) as address:
        result = run(address, "--bundle", bundle_path, "--output", table)
    assert result.exit_code == 130
    assert "rows.jsonl has the rows of 1 frame" in result.output
    assert len(rows(table)) == 1
    assert not (tmp_path / "rows.jsonl.partial").exists()


def test_a_bad_video_costs_no_row_of_the_others(bundle_path: Path, film: Path, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").touch()
    (tmp_path / "clips" / "b.mp4").write_bytes(film.read_bytes())
    (tmp_path / "clips" / "c.mp4").write_bytes(film.read_bytes()[:5000])
    table = tmp_path / "rows.jsonl"
    result = run(tmp_path / "clips", "--bundle", bundle_path, "--output", table)
    assert result.exit_code == 1
    found = rows(table)
    assert [row["status"] for row in found] == ["unreadable", *["ok"] * 22, "unreadable"]
    assert found[0]["message"] == "the video is empty (0 bytes); copy it again"
    assert "cut off and lost the index" in found[-1]["message"]


def test_without_pyav_a_video_says_what_to_install(
    bundle_path: Path, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    assert run(film, "--bundle", bundle_path, "--output", tmp_path / "rows.jsonl").exit_code == 1
    assert "lnlattennet[video]" in rows(tmp_path / "rows.jsonl")[0]["message"]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((64, 64, 3), np.uint8), r"wrote .*o\.mp4"),
        ("the frame is damaged", r"no frame was there to be drawn: .*o\.mp4 is not written"),
    ],
)
def test_an_overlay_is_told_if_there_is_one(
    image: Any, message: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    overlay = tmp_path / "o.mp4"
    moving = Moving(Selection(), Smoothing.EXPONENTIAL, 0.5, overlay)
    with caplog.at_level("INFO", "lnlattennet"), moving.stage() as stage:
        stage(Frame("film.mp4", 0, 0.0, image), [])
    assert re.fullmatch(message, caplog.messages[-1])
    assert overlay.exists() == caplog.messages[-1].startswith("wrote")


def test_folders_and_lists_are_opened_to_decide_on_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("films").mkdir()
    Path("films/in.mp4").touch()
    Path("cameras").write_text("face.jpg\nrtsp://camera/1\n")
    sizes = {
        name: batch_of(Kinds.of(Files([name], FOLDER_SUFFIXES)), 8) for name in ("a.jpg", "films", "@cameras")
    }
    assert sizes == {"a.jpg": 8, "films": 2, "@cameras": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["film.mp4"], "film.mp4 has a row for every frame: add --output FILE"),
        (["film.mp4", "--output", "r.csv", "--overlay", "o.png"], r"must end in \.mp4, got o\.png"),
        (["a.mp4", "b.mp4", "--output", "r.csv", "--overlay", "o.mp4"], "draws one video, got 2 videos"),
        (["face.jpg", "--output", "r.csv", "--overlay", "o.mp4"], "draws one video, got 0 videos"),
        (["films", "--output", "r.csv", "--overlay", "films/o.mp4"], "o.mp4 lies in films, which is read"),
        (["films", "a.mp4", "--output", "r.csv", "--overlay", "o.mp4"], "draws one video, got 2 videos"),
        (
            ["films/*", "--output", "r.csv", "--overlay", "films/in.mp4"],
            "would replace the file films/in.mp4",
        ),
        (["@list", "--output", "r.csv", "--overlay", "link.mp4"], "would replace the file link.mp4"),
        (["@list"], "films/in.mp4 has a row for every frame: add --output FILE"),
        (["rtsp://me:secret@camera/1"], "^rtsp://camera/1 has a row for every frame"),
        (["@cameras", "--output", "r.csv", "--resume"], "a camera does not have"),
        (["@-", "--output", "r.csv", "--overlay", "o.mp4"], "give @FILE in place of @-"),
        (["film.mp4", "--output", "r.csv", "--start", "5", "--end", "4"], "--end must be after --start"),
        (["film.mp4", "--output", "r.csv", "--start", "1:99"], "a time must be seconds"),
        (["film.mp4", "--output", "r.csv", "--time-constant", "0"], "--time-constant must be above 0 s"),
        (["film.mp4", "--output", "r.csv", "--time-constant", "nan"], "and finite, got nan"),
        (["tcp://127.0.0.1:1", "--output", "r.csv", "--resume"], "a camera does not have"),
        (["face.jpg", "--output", "r.csv", "--every", "2"], "choose frames of videos and cameras"),
    ],
)
def test_flags_that_contradict_are_refused(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("face.jpg").touch()
    Path("films").mkdir()
    Path("films/in.mp4").touch()
    Path("link.mp4").symlink_to("films/in.mp4")
    Path("list").write_text("films/in.mp4\n")
    Path("cameras").write_text("tcp://127.0.0.1:1\n")
    result = run(*arguments, "--bundle", "nowhere")
    assert isinstance(result.exception, UsageError)
    with pytest.raises(UsageError, match=message):
        raise result.exception
