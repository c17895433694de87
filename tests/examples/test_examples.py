"""The examples run as their first lines say."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lnlattennet.serving.triton._process import TritonProcess
from tests.training.trees import CLASSES, write_faces, write_tree

EXAMPLES = Path(__file__).parents[2] / "examples"


def run_example(name: str, *arguments: object, cwd: Path) -> str:
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=250, cwd=cwd, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short_and_the_list_has_it(path: Path) -> None:
    text = path.read_text()
    assert f"[{path.name}]({path.name})" in (EXAMPLES / "README.md").read_text()
    if path.stem != "demo":
        assert len(text.splitlines()) < 40
        assert f"python examples/{path.name}" in text


@pytest.mark.parametrize("name", ["folder", "image", "server"])
def test_an_example_without_arguments_says_how_it_is_called(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", EXAMPLES / f"{name}.py"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert f"\npython examples/{name}.py " in done.stderr
    assert "Traceback" not in done.stderr


def test_an_own_network_with_the_op_learns(tmp_path: Path) -> None:
    losses = [float(line.rpartition(" ")[2]) for line in run_example("kernel_op", cwd=tmp_path).splitlines()]
    assert losses[-1] < losses[0]


def test_one_image_gives_a_label_and_an_overlay(bundle_path: Path, tmp_path: Path) -> None:
    write_faces(tmp_path, "anger", 1)
    printed = run_example("image", bundle_path, "anger/000.png", "overlay.png", cwd=tmp_path)
    assert re.fullmatch(r"[a-z]+: \d+\.\d%\n", printed)
    assert (tmp_path / "overlay.png").is_file()


def test_a_folder_becomes_rows_and_what_is_no_image_is_named(bundle_path: Path, tmp_path: Path) -> None:
    for label in CLASSES:
        write_faces(tmp_path / "faces", label, 2)
    (tmp_path / "faces" / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "faces" / "notes.txt").write_text("not asked for")
    rows = list(csv.DictReader(run_example("folder", bundle_path, "faces", cwd=tmp_path).splitlines()))
    assert [row["image"] for row in rows] == [f"faces/{c}/00{i}.png" for c in CLASSES for i in range(2)]
    assert all(0 < float(row["probability"]) <= 1 for row in rows)


@pytest.mark.slow
def test_a_server_is_asked(server: TritonProcess, tmp_path: Path) -> None:
    write_faces(tmp_path, "anger", 2)
    url = server.endpoints.grpc
    first, *lines = run_example("server", url, "anger/000.png", "anger/001.png", cwd=tmp_path).splitlines()
    assert first.startswith(f"{url} knows ")
    assert [line.partition(":")[0] for line in lines] == ["anger/000.png", "anger/001.png"]


@pytest.mark.slow
def test_own_images_are_trained_on_and_evaluated(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "faces", train=16, test=4)
    printed = run_example("custom_dataset", tree, "--epochs", 2, "--output", "own.safetensors", cwd=tmp_path)
    assert "accuracy " in printed
    assert (tmp_path / "own.safetensors").is_file()
