"""A short real training: data, checkpoint, provenance, interruption."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lnlattennet._cli import main
from lnlattennet.data.synthetic import EXPRESSIONS, render_face
from lnlattennet.data.synthetic._splits import RENDERED_SPLITS, render_split
from lnlattennet.errors import UsageError
from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.training._augmentation import augment
from lnlattennet.training._dataset import FaceImages, collate
from lnlattennet.training._train import _without_folder
from tests.commands import call

TRAIN = [str(Path(sys.executable).with_name("lnlattennet")), "train", "--data", "synthetic"]
TINY = {
    "image_size": 16,
    "widths": [4, 6],
    "channels": 4,
    "local_features": 3,
    "affinity_features": 3,
    "grid": 2,
}
IMAGES = ["--train-images", "42", "--val-images", "14", "--test-images", "14", "--batch-size", "14"]


def run_train(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    (folder / "tiny.json").write_text(json.dumps(TINY))
    return call(main, "lnlattennet", *TRAIN[1:], "--network", "tiny.json", *IMAGES, *arguments, folder=folder)


def wait_for_checkpoint(folder: Path, process: subprocess.Popen[Any]) -> None:
    while not (folder / "last.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.01)


def test_rendering_does_not_depend_on_the_number_of_workers() -> None:
    one, labels = render_split("val", 70, 16, seed=3, workers=1)
    two, _ = render_split("val", 70, 16, seed=3, workers=2)
    assert np.array_equal(one, two)
    assert labels.tolist()[:8] == [0, 1, 2, 3, 4, 5, 6, 0]


def test_no_two_splits_share_a_face() -> None:
    seeds = [
        set(range(split.first_seed, split.first_seed + 4096 * 2**24, 2**24))
        for split in RENDERED_SPLITS.values()
    ]
    assert len(set().union(*seeds)) == 3 * 4096
    faces = [render_split(split, 7, 16, workers=1)[0] for split in RENDERED_SPLITS]
    faces.append(render_split("train", 7, 16, seed=1, workers=1)[0])
    assert len({images.tobytes() for images in faces}) == 4


@pytest.mark.parametrize(("seed", "count"), [(-1, 7), (4096, 7), (0, 0), (0, 2**24 + 1)])
def test_a_split_out_of_range_is_refused(seed: int, count: int) -> None:
    with pytest.raises(UsageError, match=f"got seed {seed} and {count} images"):
        render_split("train", count, 16, seed=seed)


def test_training_sees_exactly_what_engines_and_the_server_see() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    recipe = Preprocessing(size=16, mean=(0.1, 0.5, 0.7), std=(0.2, 0.3, 0.9))
    data = FaceImages(images, np.arange(5))
    faces, labels = collate([data[index] for index in range(5)], recipe)
    assert torch.equal(faces, torch.from_numpy(recipe.normalize(images)))
    assert labels.tolist() == [0, 1, 2, 3, 4]
    expected = (images / 255 - np.array(recipe.mean)) / np.array(recipe.std)
    np.testing.assert_allclose(faces.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-6)


def test_augmentation_is_repeated_for_the_same_epoch_and_differs_in_the_next() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)

    def epoch(number: int) -> list[bytes]:
        data = FaceImages(images, np.arange(6), augmentation=(1, number))
        return [data[index][0].tobytes() for index in range(6)]

    assert epoch(0) == epoch(0)
    assert all(first != second for first, second in zip(epoch(0), epoch(1), strict=True))
    assert all((FaceImages(images, np.arange(6))[i][0] == images[i]).all() for i in range(6))


@given(seed=st.integers(0, 2**32), size=st.sampled_from([16, 48, 112]))
@settings(max_examples=60, deadline=None)
def test_augmentation_keeps_shape_and_input_and_leaves_an_image(seed: int, size: int) -> None:
    face = render_face(seed % 50, "happiness", size=size, with_regions=False).image
    before = face.copy()
    changed = augment(face, np.random.default_rng(seed))
    assert np.array_equal(face, before)
    assert changed.shape == face.shape
    assert changed.dtype == np.uint8
    assert changed.std() > 2


@pytest.mark.parametrize("size", [16, 48, 112])
def test_an_augmented_face_is_still_that_face(size: int) -> None:
    """No bound holds for every draw: a strong light from the side, or a box, can outweigh the face."""
    faces = [render_face(seed, "happiness", size=size, with_regions=False).image for seed in range(20)]
    likeness = []
    for seed in range(200):
        face = faces[seed % 20]
        changed = augment(face, np.random.default_rng(seed)).ravel()
        likeness.append(max(np.corrcoef(changed, seen.ravel())[0, 1] for seen in (face, face[:, ::-1])))
    assert np.mean(likeness) > 0.6
    assert np.quantile(likeness, 0.05) > 0.3


@pytest.mark.slow
def test_a_run_writes_a_checkpoint_that_says_how_it_came_to_be(tmp_path: Path) -> None:
    done = run_train(tmp_path, "-o", "a.safetensors", "--epochs", 2, "--seed", 5, "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    info = load_checkpoint(tmp_path / "a.safetensors").info
    assert info.class_names == EXPRESSIONS
    assert info.preprocessing.size == info.config.image_size == 16
    assert info.provenance["settings"]["seed"] == 5
    assert info.provenance["test_accuracy"] == figures["test_accuracy"]
    assert info.provenance["command"].startswith("lnlattennet train --data synthetic")
    assert "no photograph" in info.license
    again = run_train(tmp_path, "-o", "a.safetensors", "--epochs", 2)
    assert again.returncode == 2
    assert "holds a run already; pass --resume" in again.stderr
    last = load_checkpoint(tmp_path / "runs" / "a" / "last.ckpt", allow_pickle=True)
    assert last.info.config == info.config


@pytest.mark.slow
def test_an_interrupted_run_ends_like_other_commands_and_resumes_only_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "tiny.json").write_text(json.dumps(TINY))
    command = [*TRAIN, "--network", "tiny.json", *IMAGES, "-o", "a.safetensors", "--epochs", "500"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        wait_for_checkpoint(tmp_path / "runs" / "a", process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "the same command with --resume continues" in errors
    assert errors.endswith("interrupted\n")
    assert not (tmp_path / "a.safetensors").exists()
    other = run_train(tmp_path, "-o", "a.safetensors", "--epochs", 3, "--resume")
    assert other.returncode == 2
    assert "--resume: the run was started with epochs 500, got 3" in other.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("images", "epochs"), [("42", 1), ("70", 2)])
def test_the_shortest_runs_and_ten_steps_end_well(tmp_path: Path, images: str, epochs: int) -> None:
    """The schedule of 3 steps, and of 10, where a warm-up of a tenth would be one step."""
    done = run_train(tmp_path, "-o", "a.safetensors", "--train-images", images, "--epochs", epochs)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_on_a_terminal_the_progress_bar_stays_out_of_the_json(tmp_path: Path) -> None:
    (tmp_path / "tiny.json").write_text(json.dumps(TINY))
    command = [*TRAIN, "--network", "tiny.json", *IMAGES, "-o", "a.safetensors", "--epochs", "1", "--json"]
    terminal, end = pty.openpty()
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=end, text=True) as process:
        os.close(end)
        shown = b""
        with contextlib.suppress(OSError):  # a terminal whose other end closed
            while chunk := os.read(terminal, 4096):
                shown += chunk
        out = process.stdout.read() if process.stdout else ""
    os.close(terminal)
    assert json.loads(out)["epochs"] == 1
    assert b"Epoch 1/1" in shown
    assert b"v_num" not in shown


@pytest.mark.slow
def test_the_demo_checkpoint_reads_held_out_faces(demo_checkpoint: Path) -> None:
    """Faces of a seed that its training did not use, with light, hair and occluders it never saw."""
    assert demo_checkpoint.stat().st_size <= 4_000_000
    checkpoint = load_checkpoint(demo_checkpoint)
    images, labels = render_split("test", 350, checkpoint.info.config.image_size, seed=77, workers=2)
    network = checkpoint.network()
    right = 0
    with torch.inference_mode():
        for start in range(0, 350, 50):
            faces = torch.from_numpy(checkpoint.info.preprocessing.normalize(images[start : start + 50]))
            answers = network(faces).logits.argmax(dim=1).numpy()
            right += int((answers == labels[start : start + 50]).sum())
    assert right / 350 >= 0.9


def test_the_provenance_names_no_folder_of_this_machine() -> None:
    words = ["lnlattennet", "-o", "/a b/c.safetensors", "--data=/sets/FERPlus", "-o/x/y", "runs/a", "/"]
    expected = ["lnlattennet", "-o", "c.safetensors", "--data=FERPlus", "-oy", "runs/a", "/"]
    assert [_without_folder(word) for word in words] == expected
