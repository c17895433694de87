"""The command on a folder of images: resuming, several processes, folds, and what it prints."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lnlattennet._cli import main
from lnlattennet.model._checkpoint import load_checkpoint
from tests.commands import call
from tests.training.trees import TINY, write_shards, write_tree

TRAIN = [str(Path(sys.executable).with_name("lnlattennet")), "train", "--network", "tiny.json"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with 60 training and 18 test faces in `faces`, and a small network in `tiny.json`."""
    write_tree(tmp_path / "faces", train=20, test=6)
    (tmp_path / "tiny.json").write_text(json.dumps(TINY.to_dict()))
    return tmp_path


def run_train(
    folder: Path, output: str, *arguments: str, data: str = "faces"
) -> subprocess.CompletedProcess[str]:
    command = [*TRAIN, "--data", data, "--batch-size", "6", "-o", output, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200, check=False)


def call_train(folder: Path, output: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*TRAIN[1:], "--data", "faces", "--batch-size", "6", "-o", output, *arguments]
    return call(main, "lnlattennet", *command, folder=folder)


def validated(log: Path) -> list[str]:
    with (log / "metrics.csv").open() as file:
        return [row["val_accuracy"] for row in csv.DictReader(file) if row["val_accuracy"]]


def weight_bytes(path: Path) -> dict[str, bytes]:
    weights = load_checkpoint(path, allow_pickle=True).weights
    return {name: tensor.numpy().tobytes() for name, tensor in weights.items()}


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_very_same_weights(folder: Path) -> None:
    """With averaged weights, balanced sampling, augmentation, mixing and a schedule: all have state."""
    recipe = ["--epochs", "6", "--ema", "0.9", "--balance", "sampler", "--label-smoothing", "0.1"]
    recipe += ["--schedule", "cosine", "--patience", "6", "--learning-rate", "0.02"]
    recipe += ["--augmentation", "faces", "--mixup", "0.2", "--cutmix", "1"]
    # All in processes of their own: what earlier tests left in this one may round otherwise.
    whole = run_train(folder, "whole.safetensors", *recipe)
    assert whole.returncode == 0, whole.stderr
    command = [*TRAIN, "--data", "faces", "--batch-size", "6", "-o", "halves.safetensors", *recipe]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as process:
        while not (folder / "runs" / "halves" / "last.ckpt").exists():
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert not (folder / "halves.safetensors").exists()
    resumed = run_train(folder, "halves.safetensors", *recipe, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    for whole_file, file in (
        ("whole.safetensors", "halves.safetensors"),
        # The last epoch too, in case the best one came before the kill.
        ("runs/whole/last.ckpt", "runs/halves/last.ckpt"),
    ):
        assert weight_bytes(folder / whole_file) == weight_bytes(folder / file)
    histories = [(folder / "runs" / run / "region_weights.csv").read_text() for run in ("whole", "halves")]
    assert histories[0] == histories[1]
    whole_log, log = (validated(folder / "runs" / log) for log in ("whole/log", "halves/log-2"))
    assert 0 < len(log) <= len(whole_log)
    assert log == whole_log[-len(log) :]
    other = call_train(folder, "halves.safetensors", *recipe, "--resume", "--ema", "0.5")
    assert other.returncode == 2
    assert "--resume: the run was started with ema 0.9, got 0.5" in other.stderr


@pytest.mark.slow
def test_two_processes_share_the_faces_of_shards_and_agree_on_the_figures(folder: Path) -> None:
    """A sharded data set (WebDataset); that of a folder with the same faces trains to the same weights."""
    options = ("--epochs", "3", "--devices", "2", "--learning-rate", "0.02", "--json")
    write_shards(folder / "faces", folder / "shards")
    done = run_train(folder, "a.safetensors", *options, data="shards")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    with (folder / "runs" / "a" / "region_weights.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    # 54 faces in training: 27 for each process, 4 whole batches of 6.
    assert steps == [4, 8, 12]
    logged = [float(value) for value in validated(folder / "runs" / "a" / "log")]
    # 6 faces in validation, 3 for each: no face is counted twice, and what was logged is the mean of both.
    assert round(max(logged), 4) == figures["val_accuracy"]
    assert figures["judged_faces"] == 18
    assert done.stderr.count("78 faces of 3 classes") == 1  # the helper is silent
    assert not list((folder / "runs" / "a").glob("faces-*"))
    assert load_checkpoint(folder / "a.safetensors").info.provenance["settings"]["devices"] == 2
    other = run_train(folder, "b.safetensors", *options)
    assert other.returncode == 0, other.stderr
    assert weight_bytes(folder / "a.safetensors") == weight_bytes(folder / "b.safetensors")


@pytest.mark.slow
def test_of_two_processes_one_says_what_is_wrong_with_the_data(folder: Path) -> None:
    damaged = next((folder / "faces" / "train").rglob("*.png"))
    damaged.write_bytes(b"no image")
    done = run_train(folder, "a.safetensors", "--epochs", "1", "--devices", "2")
    assert done.returncode == 1
    assert done.stderr.count(f"{damaged.name} is damaged, or no image") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_folds_are_reported_in_a_sentence(folder: Path) -> None:
    done = call_train(folder, "a.safetensors", "--epochs", "1", "--folds", "2", "--fold", "all")
    assert done.returncode == 0, done.stderr
    assert "mean accuracy of 2 folds" in done.stdout
    assert (folder / "a-folds.json").is_file()
