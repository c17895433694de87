"""Training that starts from the weights of another checkpoint: `--init`."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from lnlattennet._cli import main
from lnlattennet.errors import CheckpointError, UsageError
from lnlattennet.model._checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.training._initial_weights import start_from
from lnlattennet.training._train import train
from tests.commands import call
from tests.training.trees import CLASSES, TINY, options, write_faces


def test_weights_are_taken_over(first: Path, tree: Path, tmp_path: Path) -> None:
    """At a learning rate of 0 nothing but the batch norms' averages moves on."""
    chosen = options(tmp_path, tree, init=first, epochs=1, learning_rate=0.0)
    train(chosen)
    before, after = load_checkpoint(first), load_checkpoint(chosen.output)
    moved = {name for name in before.weights if not before.weights[name].equal(after.weights[name])}
    assert all("running" in name or "num_batches" in name for name in moved)
    assert after.info.provenance["settings"]["init"] == sha256(first.read_bytes()).hexdigest()
    assert after.info.license == before.info.license


def test_layers_of_other_classes_start_anew(
    first: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    renamed = tmp_path / "two-classes"
    for split in ("train", "test"):
        for label in CLASSES[:2]:
            write_faces(renamed / split, label, 12)
    chosen = options(tmp_path, renamed, init=first, epochs=1, learning_rate=0.0)
    with caplog.at_level("INFO"):
        train(chosen)
    before, after = load_checkpoint(first), load_checkpoint(chosen.output)
    assert before.weights["unet.project.weight"].equal(after.weights["unet.project.weight"])
    assert after.weights["fusion.weight"].shape[0] == 2
    assert "start anew: fusion.bias, fusion.weight, local_heads.weight, nonlocal_head.bias" in caplog.text
    assert after.info.license == before.info.license


def test_a_class_is_the_same_however_its_accents_are_stored(tmp_path: Path) -> None:
    names = ("colère", "joie", "peur")
    info = CheckpointInfo(config=TINY, class_names=names, preprocessing=Preprocessing(size=16))
    stored, network = LNLAttenNet(TINY), LNLAttenNet(TINY)
    save_checkpoint(tmp_path / "a.safetensors", stored, info)
    start_from(tmp_path / "a.safetensors", network, (unicodedata.normalize("NFD", names[0]), *names[1:]))
    assert network.fusion.weight.equal(stored.fusion.weight)


def test_both_notes_on_licenses_are_kept(tree: Path, tmp_path: Path) -> None:
    info = CheckpointInfo(
        config=TINY, class_names=CLASSES, preprocessing=Preprocessing(size=16), license="Some terms."
    )
    save_checkpoint(tmp_path / "first.safetensors", LNLAttenNet(TINY), info)
    chosen = options(tmp_path, tree, init=tmp_path / "first.safetensors", epochs=1)
    train(chosen)
    note = load_checkpoint(chosen.output).info.license
    assert note.endswith(" The training used other weights: Some terms.")


def test_a_run_goes_on_only_from_the_same_weights(first: Path, tree: Path, tmp_path: Path) -> None:
    train(options(tmp_path, tree, init=first, epochs=1))
    train(options(tmp_path, tree, init=first, epochs=1, resume=True))
    with pytest.raises(UsageError, match=r"--resume: the run was started with init '[0-9a-f]{64}', got None"):
        train(options(tmp_path, tree, epochs=1, resume=True))


def test_another_network_is_refused(first: Path, tree: Path, tmp_path: Path) -> None:
    wider = replace(TINY, channels=8)
    with pytest.raises(UsageError, match=r"another network: its local_networks.query is \[4, 1, 6\], here"):
        train(options(tmp_path, tree, init=first, network=wider))
    assert not options(tmp_path, tree).run_folder.exists()
    with pytest.raises(CheckpointError, match="there is no such checkpoint"):
        train(options(tmp_path, tree, init=tmp_path / "none.safetensors"))


@pytest.mark.parametrize("flag", ["--init", "--from"])
def test_a_missing_checkpoint_is_named(flag: str, tree: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.safetensors"
    output = tmp_path / "out.safetensors"
    done = call(main, "lnlattennet", "train", "--data", tree, "-o", output, flag, missing)
    assert done.returncode != 0
    assert f"{missing}: there is no such checkpoint" in done.stderr
