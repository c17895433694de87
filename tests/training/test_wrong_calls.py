"""`lnlattennet train` called wrongly: its exit code, its reason, and nothing written."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lnlattennet._cli import main
from tests.training.trees import TINY

pytestmark = pytest.mark.usefixtures("own_logging")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with a small network in `tiny.json`."""
    (tmp_path / "tiny.json").write_text(json.dumps(TINY.to_dict() | {"classes": 7}))
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, handler)


def exit_code(*arguments: str) -> object:
    """Call the command as its console script does."""
    images = ["--train-images", "42", "--val-images", "14"] if "--data" not in arguments else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["lnlattennet", "train", "--data", "synthetic", *images, *arguments])
        with pytest.raises(SystemExit) as end:
            main()
    return end.value.code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "a.pt"], "--output must end in .safetensors"),
        (["-o", "a.safetensors", "--precision", "int8"], "--precision must be one of"),
        (["-o", "a.safetensors", "--batch-size", "43"], "make less than three steps"),
        (["-o", "a.safetensors", "--epochs", "2", "--batch-size", "42"], "make less than three steps"),
        (["-o", "tiny.json/a.safetensors"], "cannot be written"),
        # Root may write everywhere, but not here.
        (["-o", "/proc/none/a.safetensors"], "cannot be written"),
        (["-o", "/proc/a.safetensors"], "cannot be written"),
        (
            ["-o", "a.safetensors", "--run-folder", ".", "--resume"],
            "--resume: . has files and no settings.json of a run; choose another --run-folder",
        ),
        (
            ["-o", "a.safetensors", "--finder", "opencv"],
            "--finder must be one of haar, libfacedetection, got",
        ),
        (["-o", "a.safetensors", "--face-alignment", "five"], "must be one of none, five-points, got 'five'"),
        (["-o", "a.safetensors", "--network", "missing.json"], "neither a preset (small, base, large) nor"),
        (
            ["-o", "a.safetensors", "--network", '{"preset": "tiny"}'],
            "preset must be one of small, base, large",
        ),
        (["-o", "a.safetensors", "--network", "[1]"], "neither a preset"),
        (["-o", "a.safetensors", "--network", '{"widths": ' + "[" * 9000], "neither a preset"),
        (["-o", "a.safetensors", "--targets", "probability"], "official split of a data set with votes"),
        (["-o", "a.safetensors", "--folds", "3"], "--folds and --format are for data sets"),
        (
            ["-o", "a.safetensors", "--holdout", "0.2"],
            "--holdout 0.2 makes a test split; --data synthetic has",
        ),
        (["-o", "a.safetensors", "--data", "faces", "--holdout", "20"], "--holdout must be a share above 0"),
        (
            ["-o", "a.safetensors", "--data", "faces", "--holdout", "0.2", "--folds", "3"],
            "--folds tests on every fold",
        ),
        (
            ["-o", "a.safetensors", "--data", "faces", "--folds", "ten"],
            "--folds must be a number of folds or",
        ),
        (
            ["-o", "a.safetensors", "--data", "faces", "--fold", "last"],
            "--fold must be a number from 0, or all",
        ),
        (["-o", "a.safetensors", "--epochs", "0"], "--epochs"),
    ],
)
def test_a_wrong_call_ends_with_its_reason(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("--batch-size", "14", "--network", "tiny.json", *arguments) == 2
    assert message in capsys.readouterr().err
    assert list(folder.iterdir()) == [folder / "tiny.json"]


def test_numbers_of_synthetic_faces_are_refused_for_a_data_set(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("-o", "a.safetensors", "--data", "faces", "--val-images", "50") == 2
    assert "--val-images 50 is for --data synthetic" in capsys.readouterr().err


def test_a_data_set_that_is_not_there_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("-o", "a.safetensors", "--data", "elsewhere") == 1
    assert "elsewhere does not exist" in capsys.readouterr().err
