"""Prepared faces of a training, in memory or in mapped files of the run folder."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lnlattennet.errors import UsageError
from lnlattennet.model._preprocessing import Preprocessing, center_square
from lnlattennet.training._data import open_training_data
from lnlattennet.training._datamodule import FaceBatches
from lnlattennet.training._trainer import build_run
from tests.training.trees import options, prepared


def test_faces_are_prepared_by_the_recipe_in_memory_and_on_disk_alike(tree: Path, tmp_path: Path) -> None:
    chosen = options(tmp_path, tree)
    [source] = open_training_data(chosen)
    recipe = Preprocessing(size=16)
    memory = FaceBatches(source, recipe, chosen)
    disk = FaceBatches(source, recipe, chosen, memory_limit=1000)
    for data in (memory, disk):
        data.prepare_data()
        data.setup("fit")
    assert (memory.on_disk, disk.on_disk) == (False, True)
    assert (chosen.run_folder / "faces-test-0.npy").is_file()
    for (first, labels), (second, _) in zip(memory.in_order("test"), disk.in_order("test"), strict=True):
        assert torch.equal(first, second)
        assert len(labels) == 6
    image = np.asarray(Image.open(tree / "test" / "happiness" / "003.png").convert("RGB"))
    expected = recipe.crop(image, center_square(20, 24))
    assert np.array_equal(prepared(source, "test")[6 + 3], expected)
    disk.remove_files()
    assert not list(chosen.run_folder.iterdir())


def test_faces_on_disk_have_their_space_before_the_first_is_made(tree: Path, tmp_path: Path) -> None:
    chosen = options(tmp_path, tree)
    [source] = open_training_data(chosen)
    taken: dict[str, bool] = {}

    def fill(split: str, *_: object) -> None:
        [draft] = chosen.run_folder.glob(".faces-*")
        taken[split] = draft.stat().st_blocks * 512 >= draft.stat().st_size

    FaceBatches(replace(source, fill=fill), Preprocessing(size=16), chosen, memory_limit=0).prepare_data()
    assert taken == dict.fromkeys(("train", "val", "test"), True)


def test_faces_that_do_not_fit_on_the_disk_are_refused_before_they_are_made(
    tree: Path, tmp_path: Path
) -> None:
    chosen = options(tmp_path, tree)
    [source] = open_training_data(chosen)
    faces = FaceBatches(source, Preprocessing(size=16), chosen, memory_limit=0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(UsageError, match=r"faces of 41,472 bytes cannot be written .* more space"):
            faces.prepare_data()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(chosen.run_folder.iterdir())


def test_machines_that_share_a_run_folder_have_faces_of_their_own(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has ended removes its faces while the first still evaluates."""
    chosen = options(tmp_path, tree, nodes=2)
    [source] = open_training_data(chosen)
    data = FaceBatches(source, Preprocessing(size=16), chosen)
    data.trainer = build_run(chosen).trainer
    for machine in "01":
        monkeypatch.setenv("NODE_RANK", machine)
        data.prepare_data()
    data.remove_files()
    monkeypatch.setenv("NODE_RANK", "0")
    data.setup("fit")
    assert len(data.prepared("test")) == 18
    data.remove_files()
    assert not list(chosen.run_folder.glob("*.npy"))
