"""Distillation: training on what trained networks predict, `--teacher`."""

from __future__ import annotations

import shutil
import unicodedata
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lnlattennet._cli import main
from lnlattennet.errors import CheckpointError, UsageError
from lnlattennet.model._checkpoint import Checkpoint, CheckpointInfo, load_checkpoint, save_checkpoint
from lnlattennet.model._network import LNLAttenNet, Outputs
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.training._teachers import Teachers, load_teachers
from lnlattennet.training._train import train
from lnlattennet.training._trainer import RegionHistory
from tests.commands import call
from tests.training.trees import CLASSES, TINY, options

FACES = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def teacher(path: Path, seed: int, *, size: int = 16, classes: tuple[str, ...] = CLASSES) -> Checkpoint:
    torch.manual_seed(seed)
    network = LNLAttenNet(replace(TINY, image_size=size))
    info = CheckpointInfo(
        config=network.config, class_names=classes, preprocessing=Preprocessing(size=size), license="Terms."
    )
    save_checkpoint(path, network, info)
    return load_checkpoint(path)


def predicted(checkpoint: Checkpoint, faces: Tensor) -> Tensor:
    with torch.no_grad():
        outputs: Outputs = checkpoint.network().eval()(faces)
    return outputs.logits.softmax(dim=1)


def test_half_of_a_target_is_the_mean_of_the_predictions(tmp_path: Path) -> None:
    first, second = teacher(tmp_path / "a.safetensors", 1), teacher(tmp_path / "b.safetensors", 2)
    mean = (predicted(first, FACES) + predicted(second, FACES)) / 2
    teachers, labels = Teachers([first, second], CLASSES), torch.tensor([0, 1, 2, 0, 1])
    own = F.one_hot(labels, 3).float()
    torch.testing.assert_close(teachers.targets(FACES, labels), (own + mean) / 2)
    shares = torch.tensor([[0.2, 0.3, 0.5]]).expand(5, 3)
    torch.testing.assert_close(teachers.targets(FACES, shares), (shares + mean) / 2)


def test_a_teacher_may_order_its_classes_otherwise(tmp_path: Path) -> None:
    classes, path = ("colère", "peur", "joie"), tmp_path / "a.safetensors"
    for accented in ("colère", unicodedata.normalize("NFD", "colère")):
        turned = teacher(path, 1, classes=("joie", "peur", accented))
        loaded = load_teachers([path], classes, turned.info.preprocessing)
        targets = Teachers(loaded, classes).targets(FACES, torch.zeros(5, 3))
        torch.testing.assert_close(2 * targets, predicted(turned, FACES).flip(1))


def test_a_teacher_of_another_size_sees_the_faces_at_its_own(tmp_path: Path) -> None:
    """A face of one color is the same face at half the size."""
    small = teacher(tmp_path / "a.safetensors", 1)
    faces = torch.linspace(-1, 1, 5).view(5, 1, 1, 1).expand(5, 3, 32, 32)
    targets = Teachers([small], CLASSES).targets(faces, torch.zeros(5, 3))
    torch.testing.assert_close(2 * targets, predicted(small, faces[..., :16, :16]))


def test_teachers_change_what_is_learned_and_are_recorded(tree: Path, tmp_path: Path) -> None:
    path = tmp_path / "teacher.safetensors"
    teacher(path, 1)
    alone = options(tmp_path, tree, epochs=1)
    taught = replace(alone, teachers=(path,), output=tmp_path / "t.safetensors", run_folder=tmp_path / "t")
    train(alone)
    train(taught)
    before, after = load_checkpoint(alone.output), load_checkpoint(taught.output)
    assert any(not before.weights[name].equal(after.weights[name]) for name in before.weights)
    assert set(before.weights) == set(after.weights)
    digest = sha256(path.read_bytes()).hexdigest()
    assert after.info.provenance["settings"]["teachers"] == [digest]
    assert after.info.license.endswith(" The training used other weights: Terms.")
    with pytest.raises(UsageError, match=rf"the run was started with teachers \['{digest}'\], got None"):
        train(replace(taught, teachers=(), resume=True))


def test_files_that_a_training_began_with_may_change_before_it_ends(
    first: Path, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A teacher that is trained anew, or a folder that is tidied, while the training runs for hours."""
    path, initial = tmp_path / "teacher.safetensors", tmp_path / "initial.safetensors"
    teacher(path, 1)
    shutil.copy(first, initial)
    chosen = options(tmp_path, tree, epochs=1, teachers=(path,), init=initial)
    expected = [sha256(file.read_bytes()).hexdigest() for file in (path, initial)]

    def change(*arguments: object) -> None:
        teacher(path, 2)
        initial.unlink()

    monkeypatch.setattr(RegionHistory, "on_train_epoch_end", change)
    train(chosen)
    settings = load_checkpoint(chosen.output).info.provenance["settings"]
    assert [*settings["teachers"], settings["init"]] == expected


def test_unusable_teachers_are_refused(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    teacher(other, 1, classes=("a", "b", "c"))
    with pytest.raises(
        UsageError, match=r"other\.safetensors predicts a, b, c; this training has the classes"
    ):
        train(options(tmp_path, tree, teachers=(other,)))
    assert not options(tmp_path, tree).run_folder.exists()
    info = CheckpointInfo(
        config=TINY, class_names=CLASSES, preprocessing=Preprocessing(size=16, std=(1.0, 1.0, 1.0))
    )
    bright = tmp_path / "bright.safetensors"
    save_checkpoint(bright, LNLAttenNet(TINY), info)
    with pytest.raises(
        UsageError, match=r"bright\.safetensors normalizes pixels by mean .* deviation \(1\.0"
    ):
        train(options(tmp_path, tree, teachers=(bright,)))
    missing = tmp_path / "missing.safetensors"
    with pytest.raises(
        CheckpointError, match=r"--teacher .*missing\.safetensors: there is no such checkpoint"
    ):
        train(options(tmp_path, tree, teachers=(missing,)))


def test_a_recipe_may_name_several_teachers(tree: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    recipe = tmp_path / "taught.toml"
    recipe.write_text(f"teacher = [{', '.join(repr(str(path)) for path in paths)}]\n")
    teacher(paths[0], 1)
    output = tmp_path / "out.safetensors"
    done = call(main, "lnlattennet", "train", "--data", tree, "-o", output, "--recipe", recipe)
    assert done.returncode != 0
    assert f"--teacher {paths[1]}: there is no such checkpoint" in done.stderr
