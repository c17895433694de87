"""`lnlattennet predict FOLDER --output`, run as a user runs it, stopped at any moment, and gone on with."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from lnlattennet.bundle._manifest import read_manifest
from lnlattennet.errors import LnlAttenNetError, UsageError
from lnlattennet.serving.triton._process import TritonProcess
from lnlattennet.streams._answers import Task
from lnlattennet.streams._frame import Frame
from lnlattennet.streams._local import LocalFramePredictor
from lnlattennet.streams._rows import Row
from lnlattennet.streams.cli._predict import predict
from lnlattennet.streams.tables._reading import open_table

pytestmark = pytest.mark.usefixtures("own_logging")

PROGRAM = str(Path(sys.executable).with_name("lnlattennet"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portrait, a pair, a wall, what is no image, and the portrait again."""
    folder = tmp_path_factory.mktemp("images")
    portrait = Image.fromarray(data.astronaut())  # type: ignore[no-untyped-call]
    portrait.save(folder / "a.jpg")
    pair = Image.new("RGB", (820, 512), (90, 90, 90))
    pair.paste(portrait)
    pair.paste(portrait.resize((308, 308)), (512, 100))
    pair.save(folder / 'b, a "pair".png')
    Image.new("RGB", (90, 60), (120, 90, 60)).save(folder / "c.png")
    (folder / "d.jpg").write_text("not an image")
    (folder / "e.jpg").write_bytes((folder / "a.jpg").read_bytes())
    (folder / "notes.txt").write_text("left out")
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 small images, some of them damaged."""
    folder = tmp_path_factory.mktemp("many")
    generator = np.random.default_rng(1)
    for number in range(400):
        pixels = generator.integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    for number in range(5, 400, 50):
        (folder / f"{number:03}.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    return folder


def run(*arguments: object) -> Any:
    app = typer.Typer()
    app.command()(predict)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def rows_of(path: Path) -> list[Row]:
    return list(open_table(path).rows())


def test_every_format_has_a_row_for_every_image_and_face(
    bundle_path: Path, folder: Path, tmp_path: Path
) -> None:
    tables = {}
    for ending in ("csv", "jsonl", "parquet"):
        output = tmp_path / f"rows.{ending}"
        flags = ["--bundle", bundle_path, "--max-faces", 5, "--min-face", 80]
        result = run(folder, *flags, "-o", output, "--json")
        assert result.exit_code == 1, result.output
        document = json.loads(result.stdout)
        assert document == {
            "output": str(output),
            "images": 5,
            "rows": {"no_face": 1, "ok": 3, "too_small": 1, "unreadable": 1},
        }
        tables[ending] = rows_of(output)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["rows.csv", "rows.jsonl", "rows.parquet"]
    assert tables["csv"] == tables["jsonl"] == tables["parquet"]
    rows = tables["csv"]
    statuses = [(Path(row.source).name[0], row.face, row.status) for row in rows]
    assert statuses == [
        ("a", 0, "ok"), ("b", 0, "ok"), ("b", 1, "too_small"), ("c", None, "no_face"),
        ("d", None, "unreadable"), ("e", 0, "ok"),
    ]  # fmt: skip
    assert "must be a JPEG or PNG file, got text" in str(rows[4].message)
    manifest = read_manifest(bundle_path)
    assert {row.model_hash for row in rows} == {manifest.model_hash(manifest.selected)}
    plain = run(folder / "a.jpg", "--bundle", bundle_path, "--json")
    (prediction,) = json.loads(plain.stdout)["predictions"]
    assert rows[0].probabilities == pytest.approx(tuple(prediction["probabilities"].values()), abs=1e-6)
    assert rows[0].box == pytest.approx(prediction["face_box"])
    assert rows[0].region_weights == pytest.approx(np.ravel(prediction["region_weights"]), abs=1e-6)


def test_a_process_that_dies_is_told(bundle_path: Path, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LNLATTENNET_THREADS", "2")
    tasks = (Task(Frame(str(path), image=path)) for path in sorted(many.iterdir()))
    with LocalFramePredictor(bundle_path) as predictor:
        answers = predictor(tasks)
        next(answers)
        assert predictor._pool
        for pid in list(predictor._pool._processes):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(LnlAttenNetError, match="a process that judges images was ended") as caught:
            list(answers)
    assert caught.value.exit_code == 1


def test_a_table_that_is_there_is_not_replaced(
    bundle_path: Path, bundle_copy: Path, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "rows.csv"
    assert run(folder, "--bundle", bundle_path, "--output", output).exit_code == 1
    before = output.read_bytes()
    again = run(folder, "--bundle", bundle_path, "--output", output)
    assert isinstance(again.exception, UsageError)
    assert "exists: choose another name" in str(again.exception)
    complete = run(folder, "--bundle", bundle_path, "--output", output, "--resume")
    assert complete.exit_code == 1, complete.output
    more = run(folder, folder / "c.png", "--bundle", bundle_path, "--output", output, "--resume")
    assert "is complete without" in str(more.exception)
    engines = [engine.name for engine in read_manifest(bundle_path).engines]
    other = next(name for name in engines if name != read_manifest(bundle_path).selected)
    flags = ["--bundle", bundle_path, "--engine", other, "--output", output, "--resume"]
    assert "was made by another model" in str(run(folder, *flags).exception)
    assert output.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if path != bundle_copy) == ["rows.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.jpg", "--resume"], "add --output FILE"),
        (["a.jpg", "--output", "rows.xlsx"], "ends in .csv, .jsonl, .parquet"),
        (["@-", "--overlay", "drawn"], "needs all names before the first image"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_first_image(
    bundle_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: Sequence[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments, "--bundle", bundle_path)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_overlays_do_not_go_where_images_are_read(bundle_path: Path, folder: Path) -> None:
    result = run(folder, "--bundle", bundle_path, "--overlay", folder / "drawn")
    assert "which is read; choose a place outside" in str(result.exception)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Variables of a command, by which its processes are found; none may be left."""
    mark = f"LNLATTENNET_TEST={tmp_path}"
    yield os.environ | dict([mark.split("=")]) | {"LNLATTENNET_THREADS": "2"}
    deadline = time.monotonic() + 30
    while left := list(_processes(mark.encode())):
        assert time.monotonic() < deadline, f"processes are left: {left}"
        time.sleep(0.05)


def _processes(mark: bytes) -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            ended = "State:\tZ" in path.with_name("status").read_text()
            if not ended and mark in path.read_bytes().split(b"\0"):
                yield path.parent.name
        except OSError:
            continue


def _written(output: Path) -> int:
    rows = output.with_name(f"{output.name}.partial") / "rows.jsonl"
    return rows.read_bytes().count(b"\n") if rows.exists() else 0


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_rows(
    bundle_path: Path,
    many: Path,
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By Ctrl-C, then by SIGKILL while many images are in flight; a run in one process has the same rows."""
    output = tmp_path / "rows.parquet"
    command = [PROGRAM, "predict", str(many), "--bundle", str(bundle_path), "--output"]
    written = 0
    for how, flags in ((signal.SIGINT, []), (signal.SIGKILL, ["--resume"])):
        with subprocess.Popen(
            [*command, output, *flags], env=environment, stderr=subprocess.PIPE, text=True
        ) as process:
            while _written(output) < written + 30:
                assert process.poll() is None, process.communicate()
                time.sleep(0.002)
            process.send_signal(how)
            _, said = process.communicate(timeout=60)
        assert process.returncode == (130 if how == signal.SIGINT else -how)
        assert ("with --resume goes on" in said) == (how == signal.SIGINT)
        assert not output.exists()
        written = _written(output)
        assert written < 400
    refused = run(many, "--bundle", bundle_path, "--output", output)
    assert "go on with --resume" in str(refused.exception)
    changed = run(many, "--bundle", bundle_path, "--output", output, "--resume", "--max-faces", 2)
    assert "was made with --max-faces None, and now it is 2" in str(changed.exception)
    others = run(many / "399.png", "--bundle", bundle_path, "--output", output, "--resume")
    assert "--resume goes on with the same images" in str(others.exception)
    # What a process writes when it dies may end anywhere.
    with (tmp_path / "rows.parquet.partial" / "rows.jsonl").open("ab") as stream:
        stream.write(b'{"source": "cut o')
    done = subprocess.run([*command, output, "--resume"], env=environment, timeout=120, check=False)
    assert done.returncode == 1
    whole = tmp_path / "whole.parquet"
    monkeypatch.setenv("LNLATTENNET_THREADS", "1")
    assert run(many, "--bundle", bundle_path, "--output", whole).exit_code == 1
    assert rows_of(output) == rows_of(whole)
    assert len(rows_of(whole)) == 400
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.parquet", "whole.parquet"]


def test_a_full_disk_keeps_what_is_written(bundle_path: Path, folder: Path, tmp_path: Path) -> None:
    """The largest size of a file stands for the end of the disk: writing fails in the middle of a row."""
    output, names = tmp_path / "rows.csv", [folder / "a.jpg", folder / "c.png"] * 6
    flags = [*names, "--bundle", bundle_path, "--output", output]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        full = run(*flags)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert isinstance(full.exception, OSError)
    assert str(full.exception.filename).endswith("rows.jsonl")
    kept = (tmp_path / "rows.csv.partial" / "rows.jsonl").read_bytes()
    assert kept.endswith(b"}\n")
    assert 1 < kept.count(b"\n") < 12
    assert run(*flags, "--resume").exit_code == 0
    assert run(*flags[:-1], tmp_path / "whole.csv").exit_code == 0
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_server_fills_the_same_table(
    server: TritonProcess, bundle_path: Path, folder: Path, tmp_path: Path
) -> None:
    local, served = tmp_path / "local.jsonl", tmp_path / "served.jsonl"
    assert run(folder, "--bundle", bundle_path, "--output", local, "--max-faces", 3).exit_code == 1
    flags = ["--url", server.endpoints.grpc, "--max-faces", 3, "--in-flight", 4]
    assert run(folder, *flags, "--output", served).exit_code == 1
    ours, theirs = rows_of(local), rows_of(served)
    assert [(row.source, row.face, row.status) for row in ours] == [
        (row.source, row.face, row.status) for row in theirs
    ]
    assert {row.model_hash for row in theirs} == {row.model_hash for row in ours}
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.label == other.label
        if mine.probabilities is not None:
            assert other.probabilities == pytest.approx(mine.probabilities, abs=1e-4)
