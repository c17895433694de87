"""The examples run as their first lines say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.trees import write_tree

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


def test_an_own_network_with_the_op_learns(tmp_path: Path) -> None:
    losses = [float(line.rpartition(" ")[2]) for line in run_example("kernel_op", cwd=tmp_path).splitlines()]
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_own_images_are_trained_on_and_evaluated(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "faces", train=16, test=4)
    printed = run_example("custom_dataset", tree, "--epochs", 2, "--output", "own.safetensors", cwd=tmp_path)
    assert "accuracy " in printed
    assert (tmp_path / "own.safetensors").is_file()
