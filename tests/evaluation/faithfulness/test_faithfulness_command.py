"""`lnlattennet explain --faithfulness` from the files it is given to the files it writes."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from lnlattennet.errors import LnlAttenNetError, UsageError
from lnlattennet.evaluation.explain._cli import explain

app = typer.Typer()
app.command()(explain)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments), "--faithfulness"])
    if isinstance(result.exception, LnlAttenNetError):
        raise result.exception
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_rendered_faces_are_measured_and_recorded(checkpoint_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    document = json.loads(run(checkpoint_path, "--data", "synthetic", "--images", 14, "-o", out, "--json"))
    assert json.loads((out / "faithfulness.json").read_text()) == document
    for name, narrowest in (("faithfulness.png", 900), ("faithfulness-faces.png", 1000)):
        with Image.open(out / name) as drawing:
            assert drawing.width > narrowest
    assert document["data"]["faces"] == 14
    assert (document["regions"], document["covered"]) == (16, 4)
    names = [reading["name"] for reading in document["readings"]]
    assert names == [
        "region weight", "contribution", "Grad-CAM", "attention rollout", "single-region drop", "random order"
    ]  # fmt: skip
    with (out / "faithfulness.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 14
    right = np.array([float(row["right"]) for row in rows])
    assert right.mean() == pytest.approx(document["accuracy"]["value"], abs=1e-4)
    for reading in document["readings"]:
        covered = [float(row[f"{reading['name']}: right, highest covered (blur)"]) for row in rows]
        lost = reading["covered"]["blur"]["highest"]["value"]
        assert (right - covered).mean() == pytest.approx(lost, abs=1e-3)
        areas = [float(row[f"{reading['name']}: deletion"]) for row in rows]
        assert np.mean(areas) == pytest.approx(reading["deletion"]["value"], abs=1e-3)


def test_on_a_gpu_the_answers_would_be_those_of_full_float32(
    checkpoint_path: Path, cudnn_settings: set[tuple[bool, bool]]
) -> None:
    run(checkpoint_path, "--data", "synthetic", "--images", 1)
    assert cudnn_settings == {(True, False)}


def test_a_data_set_is_measured_on_the_classes_it_shares_with_the_model(
    checkpoint_path: Path, face_folder: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(face_folder / "test", tree)
    (tree / "fear").rename(tree / "contempt")
    with pytest.raises(UsageError, match="only the data has contempt"):
        run(checkpoint_path, "--data", tree)
    few = (checkpoint_path, "--data", tree, "--common-classes", "--images", 6)
    measured = json.loads(run(*few, "--json"))["data"]
    assert measured["faces"] == sum(measured["faces_per_class"].values()) == 6
    assert "contempt" not in measured["faces_per_class"]
    printed = run(*few)
    rows = {line[1:].partition("│")[0].strip() for line in printed.splitlines() if "│" in line}
    assert {"region weight", "Grad-CAM", "random order"} <= rows
    assert "the model may not predict fear here" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to explain"),
        (("--history", "runs/a"), "--faithfulness measures on --data alone"),
        (("--data", "synthetic", "--region", "3"), "--faithfulness measures on --data alone"),
        (("--data", "synthetic", "-o", __file__), "is a file: choose another"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    checkpoint_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run(checkpoint_path, *arguments)


def test_explanations_without_it_need_a_folder_and_have_all_classes(
    checkpoint_path: Path, tmp_path: Path
) -> None:
    for arguments, message in (
        (("--data", "synthetic"), "name a folder for them with --output"),
        (("--data", "synthetic", "--common-classes", "-o", tmp_path), "is for --faithfulness"),
    ):
        result = CliRunner().invoke(app, [str(checkpoint_path), *map(str, arguments)])
        assert isinstance(result.exception, UsageError)
        assert message in str(result.exception)
