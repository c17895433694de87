"""`lnlattennet predict`, run as a user runs it."""

from __future__ import annotations

import io
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from skimage import data
from typer.testing import CliRunner

from lnlattennet.bundle._manifest import read_manifest
from lnlattennet.errors import BundleError, ServingError, UsageError
from lnlattennet.serving.triton._process import TritonProcess
from lnlattennet.streams.cli._console import weight_table
from lnlattennet.streams.cli._predict import predict

astronaut: Callable[[], NDArray[np.uint8]] = data.astronaut


pytestmark = pytest.mark.usefixtures("own_logging")


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    path = tmp_path / "portrait [1].jpg"
    Image.fromarray(astronaut()).save(path)
    return path


@pytest.fixture
def wall(tmp_path: Path) -> Path:
    path = tmp_path / "wall.png"
    Image.new("RGB", (90, 60), (120, 90, 60)).save(path)
    return path


def run(*arguments: object) -> Any:
    app = typer.Typer()
    app.command()(predict)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "120"})


def test_a_table_and_a_heat_map_are_printed_by_default(bundle_path: Path, portrait: Path, wall: Path) -> None:
    result = run(portrait, wall, "--bundle", bundle_path)
    assert result.exit_code == 0, result.output
    assert "portrait" in result.stdout
    assert "[1].jpg" in result.stdout
    assert "found" in result.stdout
    assert "center square" in result.stdout
    assert "(15, 0) to (75, 60)" in result.stdout
    assert result.stdout.count("region weights of") == 2
    # The largest weights of each image are starred.
    assert result.stdout.count("*") >= 2


@pytest.mark.parametrize(
    ("weights", "stars"),
    [
        ([[0.25, 0.25], [0.25, 0.25]], 0),
        ([[0.2502, 0.2499], [0.25, 0.2499]], 0),
        ([[0.4, 0.2], [0.2, 0.2]], 1),
        ([[0.4001, 0.3999], [0.1, 0.1]], 2),
    ],
)
def test_stars_follow_the_digits_that_are_printed(weights: list[list[float]], stars: int) -> None:
    console = Console(width=40, file=io.StringIO())
    with console.capture() as captured:
        console.print(weight_table(weights))
    assert captured.get().count("*") == stars


def test_an_image_is_read_from_standard_input(bundle_path: Path, portrait: Path) -> None:
    app = typer.Typer()
    app.command()(predict)
    arguments = ["-", "--bundle", str(bundle_path), "--json"]
    result = CliRunner().invoke(app, arguments, input=portrait.read_bytes())
    assert result.exit_code == 0, result.output
    (piped,) = json.loads(result.stdout)["predictions"]
    (named,) = json.loads(run(portrait, "--bundle", bundle_path, "--json").stdout)["predictions"]
    assert piped == named | {"photo": "-"}
    # 16 rows of the affinity, not a line for each of its 256 numbers.
    assert len(result.stdout.splitlines()) < 80


def test_json_is_one_document(bundle_path: Path, portrait: Path) -> None:
    result = run(portrait, "--bundle", bundle_path, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    (prediction,) = document["predictions"]
    assert document["errors"] == []
    assert prediction["photo"] == str(portrait)
    assert prediction["label"] == max(prediction["probabilities"], key=prediction["probabilities"].get)
    assert prediction["face_found"] is True
    manifest = read_manifest(bundle_path)
    assert prediction["model_hash"] == manifest.model_hash(manifest.selected)
    assert prediction["preprocessing_id"] == manifest.preprocessing.id
    shares = np.array(list(prediction["probabilities"].values()))
    assert prediction["entropy"] == pytest.approx(-(shares * np.log(shares)).sum())
    assert np.shape(prediction["region_weights"]) == (4, 4)
    assert np.shape(prediction["region_affinity"]) == (16, 16)


def test_one_bad_image_does_not_lose_the_others(
    bundle_path: Path, portrait: Path, wall: Path, tmp_path: Path
) -> None:
    text, missing = tmp_path / "notes.jpg", tmp_path / "missing.jpg"
    text.write_text("not an image")
    arguments = [portrait, text, missing, wall, "--bundle", bundle_path]
    result = run(*arguments, "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert [entry["photo"] for entry in document["predictions"]] == [str(portrait), str(wall)]
    errors = {Path(entry["photo"]).name: entry["error"] for entry in document["errors"]}
    assert "must be a JPEG or PNG file, got text" in errors["notes.jpg"]
    assert errors["missing.jpg"] == "there is no such file; check the path"

    for_people = run(*arguments)
    assert for_people.exit_code == 1
    assert for_people.stdout.count("error") == 2
    assert for_people.stdout.count("region weights of") == 2


def test_a_name_that_is_not_utf_8_can_be_printed(bundle_path: Path, wall: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9.png")
    odd.write_bytes(wall.read_bytes())
    table = run(odd, "--bundle", bundle_path)
    assert table.exit_code == 0, table.output
    assert "caf�.png" in table.stdout
    document = json.loads(run(odd, "--bundle", bundle_path, "--json").stdout)
    assert document["predictions"][0]["photo"].endswith("caf�.png")


def test_an_overlay_is_drawn(bundle_path: Path, portrait: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "drawn.png"
    before = portrait.read_bytes()
    result = run(portrait, "--bundle", bundle_path, "--overlay", target)
    assert result.exit_code == 0, result.output
    assert f"wrote 1 overlay to {target}\n" in result.stderr
    with Image.open(target) as drawn:
        assert drawn.width >= 512
    assert portrait.read_bytes() == before


def test_overlays_of_several_images_go_to_a_folder(
    bundle_path: Path, portrait: Path, wall: Path, tmp_path: Path
) -> None:
    namesake = tmp_path / "other" / "wall.jpg"
    namesake.parent.mkdir()
    with Image.open(wall) as image:
        image.save(namesake)
    folder = tmp_path / "drawn"
    result = run(portrait, wall, namesake, "--bundle", bundle_path, "--overlay", folder)
    assert result.exit_code == 0, result.output
    assert f"wrote 3 overlays to {folder}\n" in result.stderr
    assert {path.name for path in folder.iterdir()} == {
        "portrait [1]-overlay.png",
        "wall-overlay.png",
        "wall-2-overlay.png",
    }


def test_several_images_need_a_folder(bundle_path: Path, portrait: Path, wall: Path, tmp_path: Path) -> None:
    result = run(portrait, wall, "--bundle", bundle_path, "--overlay", tmp_path / "drawn.png")
    assert isinstance(result.exception, UsageError)
    assert "must be a folder for 2 images" in str(result.exception)
    result = run(portrait, wall, "--bundle", bundle_path, "--overlay", portrait)
    assert isinstance(result.exception, UsageError)
    assert "must be a .png file or a folder" in str(result.exception)


@pytest.mark.parametrize("name", ["drawn.jpg", "drawn.TIFF", "drawn.avi"])
def test_no_folder_is_named_as_an_image(bundle_path: Path, wall: Path, tmp_path: Path, name: str) -> None:
    result = run(wall, "--bundle", bundle_path, "--overlay", tmp_path / name)
    assert isinstance(result.exception, UsageError)
    assert str(result.exception).endswith(f"must be a .png file or a folder, got {tmp_path / name}")
    assert not (tmp_path / name).exists()
    (tmp_path / name).mkdir()
    assert run(wall, "--bundle", bundle_path, "--overlay", tmp_path / name).exit_code == 0


def test_an_image_is_never_overwritten(bundle_path: Path, wall: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.png"
    link.symlink_to(wall)
    before = wall.read_bytes()
    for target in (wall, link, wall.parent / "." / wall.name):
        result = run(wall, "--bundle", bundle_path, "--overlay", target)
        assert isinstance(result.exception, UsageError)
        assert "would replace the image" in str(result.exception)
    earlier = tmp_path / "wall-overlay.png"
    earlier.write_bytes(before)
    result = run(earlier, wall, "--bundle", bundle_path, "--overlay", tmp_path)
    assert isinstance(result.exception, UsageError)
    assert wall.read_bytes() == earlier.read_bytes() == before


def test_an_overlay_that_cannot_be_written_keeps_the_prediction(
    bundle_path: Path, wall: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    result = run(wall, "--bundle", bundle_path, "--overlay", tmp_path / "file" / "drawn.png", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert len(document["predictions"]) == 1
    assert "cannot write its overlay" in document["errors"][0]["error"]
    assert "wrote 0 overlays" in result.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--url", "grpc://127.0.0.1:8001", "--bundle", "."], "give one of the two"),
        (["--engine", "openvino"], "add --bundle DIR"),
        (["--min-face", "20"], "no effect on the largest face alone: add --max-faces N"),
        (["--max-faces", "3", "--min-face", "inf"], "min_face must be a size in pixels from 0, got inf"),
        (["--max-faces", "3000000000"], "max_faces must be at least 1"),
        (["--url", "127.0.0.1:8001"], "the scheme is missing"),
    ],
)
def test_flags_that_contradict_are_refused(wall: Path, flags: list[str], message: str) -> None:
    result = run(wall, *flags)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


def test_without_a_bundle_there_is_a_message(wall: Path, tmp_path: Path) -> None:
    result = run(wall, "--bundle", tmp_path)
    assert isinstance(result.exception, BundleError)


def test_without_a_server_there_is_a_message(wall: Path) -> None:
    pytest.importorskip("tritonclient")
    with socket.create_server(("127.0.0.1", 0)) as closed_again:
        port = closed_again.getsockname()[1]
    result = run(wall, "--url", f"grpc://127.0.0.1:{port}")
    assert isinstance(result.exception, ServingError)
    assert "lnlattennet serve BUNDLE" in str(result.exception)


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """An image of two faces, the right one smaller."""
    path = tmp_path / "pair.png"
    canvas = Image.new("RGB", (820, 512), (90, 90, 90))
    canvas.paste(Image.fromarray(astronaut()))
    canvas.paste(Image.fromarray(astronaut()).resize((308, 308)), (512, 100))
    canvas.save(path)
    return path


def test_every_face_is_answered_and_drawn(
    server: TritonProcess, bundle_path: Path, pair: Path, wall: Path, tmp_path: Path
) -> None:
    flags = ["--max-faces", 3, "--min-face", 80, "--json", "--overlay", tmp_path / "drawn"]
    local = run(pair, wall, "--bundle", bundle_path, *flags)
    drawn = {path.name: path.read_bytes() for path in (tmp_path / "drawn").iterdir()}
    assert set(drawn) == {"pair-overlay.png", "wall-overlay.png"}
    for result in (local, run(pair, wall, "--url", server.endpoints.http, *flags)):
        assert result.exit_code == 0, result.output
        faces = json.loads(result.stdout)["predictions"]
        assert [Path(face["photo"]).stem for face in faces] == ["pair", "pair", "wall"]
        assert [face["status"] for face in faces] == ["ok", "too_small", "no_face"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "drawn").iterdir()} == drawn
    for_people = run(pair, "--bundle", bundle_path, "--max-faces", 1, "--min-face", 500)
    assert "found, too small" in for_people.stdout
    assert for_people.stdout.count("region weights of") == 1


@pytest.mark.parametrize("model", ["expression", "expression_fused"])
def test_a_server_gives_the_bundles_answers(
    server: TritonProcess, bundle_path: Path, portrait: Path, wall: Path, tmp_path: Path, model: str
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(wall.read_bytes()[:60])
    arguments = [portrait, broken, wall, "--json"]
    local = run(*arguments, "--bundle", bundle_path)
    for url in (server.endpoints.grpc, server.endpoints.http):
        asked = run(*arguments, "--url", url, "--model", model)
        assert asked.exit_code == local.exit_code == 1
        ours, theirs = json.loads(local.stdout), json.loads(asked.stdout)
        assert [p["label"] for p in ours["predictions"]] == [p["label"] for p in theirs["predictions"]]
        for mine, other in zip(ours["predictions"], theirs["predictions"], strict=True):
            assert mine["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)
            assert mine["face_box"] == pytest.approx(other["face_box"], abs=1e-3)
        assert "damaged or cut off" in theirs["errors"][0]["error"]


@pytest.mark.parametrize(
    "option",
    [
        ("--model", "expression_fused"),
        ("--timeout", 8),
        ("--retries", 2),
        ("--in-flight", 8),
        ("--ca", "ca.pem"),
        ("--header", "a:b"),
    ],
)
def test_options_for_a_server_are_refused_beside_a_bundle(
    bundle_path: Path, portrait: Path, option: tuple[str, object]
) -> None:
    result = run(portrait, "--bundle", bundle_path, *option)
    assert isinstance(result.exception, UsageError)
    wanted = "--model, --timeout, --retries, --in-flight, --ca and --header are for a server"
    assert wanted in str(result.exception)


@pytest.mark.parametrize("header", ["key", ": key", ""])
def test_a_header_has_a_name_and_a_value(portrait: Path, header: str) -> None:
    result = run(portrait, "--header", header)
    assert isinstance(result.exception, UsageError)
    assert f"a header must be NAME:VALUE, got {header!r}" in str(result.exception)


@pytest.mark.parametrize("name", ["large.png", "large.tiff"])
def test_files_of_this_machine_may_have_more_than_16_megapixels(
    bundle_path: Path, tmp_path: Path, name: str
) -> None:
    large = Image.new("RGB", (4200, 4000), (90, 90, 90))
    large.paste(Image.fromarray(astronaut()).resize((2048, 2048)))
    large.save(tmp_path / name, compress_level=1)
    result = run(tmp_path / name, "--bundle", bundle_path, "--json", "--overlay", tmp_path / "drawn.png")
    assert result.exit_code == 0, result.output
    (prediction,) = json.loads(result.stdout)["predictions"]
    assert prediction["face_found"]
    assert (tmp_path / "drawn.png").exists()


@pytest.mark.parametrize("name", ["face.tiff", "face.webp", "face.bmp", "face.jfif", "face.ppm"])
def test_files_of_this_machine_may_be_of_any_kind(bundle_path: Path, tmp_path: Path, name: str) -> None:
    lossless = tmp_path / "face.png"
    Image.fromarray(astronaut()).save(lossless)
    path = tmp_path / name
    options = {"lossless": True} if name.endswith("webp") else {"quality": 95} if "jfif" in name else {}
    Image.fromarray(astronaut()).save(path, "JPEG" if "jfif" in name else None, **options)
    result = run(path, lossless, "--bundle", bundle_path, "--json")
    assert result.exit_code == 0, result.output
    first, second = json.loads(result.stdout)["predictions"]
    assert first["face_found"]
    assert first["label"] == second["label"]
    if "jfif" not in name:
        assert first["probabilities"] == pytest.approx(second["probabilities"], abs=1e-6)
