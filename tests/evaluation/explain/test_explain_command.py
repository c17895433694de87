"""`lnlattennet explain` from the files it is given to the files it writes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from lnlattennet.data.synthetic import EXPRESSIONS, render_face
from lnlattennet.errors import CheckpointError, DataError, ImageError, LnlAttenNetError, UsageError
from lnlattennet.evaluation.explain._cli import explain
from lnlattennet.model._checkpoint import METADATA_KEY, CheckpointInfo, load_checkpoint, save_checkpoint

app = typer.Typer()
app.command()(explain)


def run(*arguments: object) -> str:
    """Run the command; return its stdout, or raise its deliberate error."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, LnlAttenNetError):
        raise result.exception
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def run_json(*arguments: object) -> dict[str, Any]:
    return dict(json.loads(run(*arguments, "--json")))


@pytest.fixture
def image_path(tmp_path: Path) -> Path:
    path = tmp_path / "face.png"
    Image.fromarray(render_face(5, "happiness", size=96, with_regions=False).image).save(path)
    return path


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    weights = np.random.default_rng(0).dirichlet(np.ones(16), 4)
    lines = [",".join(map(str, [step * 10, *row])) for step, row in enumerate(weights.tolist())]
    header = ",".join(["step", *(f"region_{k}" for k in range(16))])
    (folder / "region_weights.csv").write_text("\n".join([header, *lines]) + "\n")
    return folder


def test_an_image_gets_a_panel_and_a_table(checkpoint_path: Path, image_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    document = run_json(checkpoint_path, image_path, image_path, "-o", out)
    assert json.loads((out / "explanations.json").read_text()) == document
    assert document["files"] == [
        str(out / name) for name in ("face-1-face.png", "face-2-face.png", "explanations.json")
    ]
    for row in document["images"]:
        assert sum(row["region_weights"]) == pytest.approx(1, abs=1e-4)
        assert sum(row["affinity_row"]) == pytest.approx(1, abs=1e-4)
        assert row["region_weights"][row["region"]] == max(row["region_weights"])
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)
        with Image.open(row["picture"]) as panel:
            assert panel.width > 1000


@pytest.mark.parametrize("name", ["face.tiff", "face.bmp"])
def test_an_image_may_have_every_format_that_predict_reads(
    name: str, checkpoint_path: Path, image_path: Path, tmp_path: Path
) -> None:
    with Image.open(image_path) as image:
        image.save(tmp_path / name)
    rows = run_json(checkpoint_path, image_path, tmp_path / name, "-o", tmp_path / "out")["images"]
    assert rows[0]["probabilities"] == rows[1]["probabilities"]


def test_an_image_without_a_face_is_told_of(checkpoint_path: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((96, 96, 3), 90, np.uint8)).save(tmp_path / "wall.png")
    arguments = [checkpoint_path, tmp_path / "wall.png", "-o", tmp_path / "out", "--json"]
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert json.loads(result.stdout)["images"][0]["face_found"] is False
    assert "wall.png: no face was found, so its center square is explained" in result.stderr


def test_names_of_files_and_folders_may_hold_anything(
    checkpoint_path: Path, image_path: Path, face_folder: Path, tmp_path: Path
) -> None:
    renamed = image_path.rename(tmp_path / "$^_x_ é $a.png")
    tree = tmp_path / os.fsdecode(b"$^_x_ \xe9 $a")
    shutil.copytree(face_folder / "test", tree)
    (tree / "fear").rename(tree / os.fsdecode(b"peur$\xe9$"))
    document = run_json(checkpoint_path, renamed, "--data", tree, "-o", tmp_path / "out")
    assert document["images"][0]["image"] == str(renamed)
    assert document["data"]["name"] == str(tmp_path / "$^_x_ \ufffd $a")
    assert "peur$\ufffd$" in [row["expression"] for row in document["data"]["classes"]]
    assert all(Path(file).is_file() for file in document["files"])


def test_the_region_whose_affinity_is_shown_can_be_chosen(
    checkpoint_path: Path, image_path: Path, tmp_path: Path
) -> None:
    rows = [
        run_json(checkpoint_path, image_path, "--region", region, "-o", tmp_path / "out")["images"][0]
        for region in (0, 10)
    ]
    assert [row["region"] for row in rows] == [0, 10]
    assert rows[0]["affinity_row"] != rows[1]["affinity_row"]
    assert rows[0]["region_weights"] == rows[1]["region_weights"]


def test_rendered_faces_are_averaged_and_scored(checkpoint_path: Path, tmp_path: Path) -> None:
    printed = run(checkpoint_path, "--data", "synthetic", "--images", 14, "-o", tmp_path / "out")
    data = json.loads((tmp_path / "out" / "explanations.json").read_text())["data"]
    assert [row["expression"] for row in data["classes"]] == list(EXPRESSIONS)
    assert [row["faces"] for row in data["classes"]] == [2] * 7
    assert data["crucial_regions"]["faces"] == 12
    assert [point["covered"] for point in data["occlusion"]] == [0, 1, 2, 4]
    assert Path(data["picture"]).is_file()
    rows = {line[1:].partition("│")[0].strip(): line for line in printed.splitlines() if "│" in line}
    assert f"{data['crucial_regions']['share_of_weight']['value']:.1%}" in rows["weight on the true regions"]
    assert "18.8%" in rows["top-3 hit rate"], "what even weights reach"
    assert f"{data['occlusion'][3]['accuracy']['value']:.1%}" in rows["accuracy, 4 of 16 regions covered"]


def test_a_data_set_is_averaged_over_its_own_classes(
    checkpoint_path: Path, face_folder: Path, tmp_path: Path
) -> None:
    data = run_json(checkpoint_path, "--data", face_folder, "-o", tmp_path / "out")["data"]
    assert data["split"] == "test"
    assert data["faces"] == 42
    assert {row["expression"]: row["faces"] for row in data["classes"]} == dict.fromkeys(EXPRESSIONS, 6)
    assert "crucial_regions" not in data
    few = run_json(
        checkpoint_path, "--data", face_folder, "--images", 8, "--split", "all", "-o", tmp_path / "out"
    )["data"]
    assert (few["faces"], few["split"]) == (8, "all")
    assert len(few["classes"]) > 4, "spread over the data set, whose faces lie class by class"


def test_the_history_becomes_a_strip_and_an_animation(
    checkpoint_path: Path, run_folder: Path, tmp_path: Path
) -> None:
    printed = run(checkpoint_path, "--history", run_folder, "-o", tmp_path / "out").split()
    names = ["history.png", "history.gif", "explanations.json"]
    assert printed == [str(tmp_path / "out" / name) for name in names]
    assert all(Path(file).stat().st_size > 0 for file in printed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to explain"),
        (("IMAGE", "--images", "3"), "add --data"),
        (("IMAGE", "--faces", "crop"), "--faces, --split and --images choose faces of a data set"),
        (("--data", "synthetic", "--split", "val"), "has no --format and no --split"),
        (("IMAGE", "--region", "16"), "--region must be from 0 to 15"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    checkpoint_path: Path, image_path: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    words = [image_path if argument == "IMAGE" else argument for argument in arguments]
    with pytest.raises(UsageError, match=message):
        run(checkpoint_path, *words, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["a.png", "a.GIF", "a.mp4"])
def test_no_folder_is_named_as_an_image(
    checkpoint_path: Path, image_path: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(UsageError, match=r"--output must be a folder, got .*: leave out"):
        run(checkpoint_path, image_path, "-o", tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(
    checkpoint_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for folder in (Path("/proc/none"), tmp_path / "file" / "out"):
        with pytest.raises(UsageError, match=rf"--output {folder} cannot be written"):
            run(checkpoint_path, "--data", tmp_path / "nothing", "-o", folder)


def test_a_panel_never_replaces_an_image(checkpoint_path: Path, image_path: Path, tmp_path: Path) -> None:
    victim = image_path.rename(tmp_path / "face-1-a.png")
    other = tmp_path / "a.png"
    other.write_bytes(victim.read_bytes())
    with pytest.raises(UsageError, match="would replace an image"):
        run(checkpoint_path, other, victim, "-o", tmp_path)


def test_a_history_of_another_grid_is_refused(checkpoint_path: Path, tmp_path: Path) -> None:
    (tmp_path / "region_weights.csv").write_text("step,region_0\n1,1\n")
    with pytest.raises(DataError, match="has 1 regions, the checkpoint 16"):
        run(checkpoint_path, "--history", tmp_path, "-o", tmp_path / "out")


def test_a_damaged_image_is_named(checkpoint_path: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    for path, message in ((broken, "broken.png: "), (tmp_path / "gone.png", "gone.png cannot be read")):
        with pytest.raises(ImageError, match=message):
            run(checkpoint_path, path, "-o", tmp_path / "out")


def test_a_training_checkpoint_is_explained_if_allowed(
    checkpoint_path: Path, image_path: Path, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    state = {f"network.{name}": tensor for name, tensor in checkpoint.weights.items()}
    torch.save({METADATA_KEY: checkpoint.info.to_json(), "state_dict": state}, tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match="pass --allow-pickle"):
        run(tmp_path / "last.ckpt", image_path, "-o", tmp_path / "out")
    pickled, plain = (
        run_json(path, image_path, "--allow-pickle", "-o", tmp_path / "out")["images"]
        for path in (tmp_path / "last.ckpt", checkpoint_path)
    )
    assert pickled == plain


def test_rendered_faces_need_a_checkpoint_of_their_expressions(checkpoint_path: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    info = checkpoint.info
    other = CheckpointInfo(config=info.config, class_names=tuple("abcdefg"), preprocessing=info.preprocessing)
    save_checkpoint(tmp_path / "other.safetensors", checkpoint.network(), other)
    with pytest.raises(UsageError, match="this checkpoint knows a, b, c"):
        run(tmp_path / "other.safetensors", "--data", "synthetic", "-o", tmp_path / "out")
