"""What a run finds in its folder and at its output: to continue, to make longer, to leave alone."""

from __future__ import annotations

import csv
import json
import logging
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from lnlattennet.errors import CheckpointError, UsageError
from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.training._checkpoint_io import AtomicCheckpointIO
from lnlattennet.training._options import TrainingOptions
from lnlattennet.training._results import CrossValidationResult
from lnlattennet.training._run_folder import sole_run
from lnlattennet.training._train import train
from lnlattennet.training._trainer import RegionHistory
from tests.training import trees
from tests.training.trees import train_one, write_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 training and 6 test faces of each of three classes."""
    return write_tree(tmp_path_factory.mktemp("data") / "faces", train=20, test=6)


def options(folder: Path, tree: Path, **changes: Any) -> TrainingOptions:
    return trees.options(folder, tree, **({"faces": "as-is"} | changes))


def steps(run_folder: Path) -> list[int]:
    with (run_folder / "region_weights.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def learning_rates(run_folder: Path) -> float:
    state = torch.load(run_folder / "last.ckpt", map_location="cpu", weights_only=False)
    return float(state["optimizer_states"][0]["param_groups"][0]["lr"])


@pytest.mark.parametrize(
    "recipe",
    [
        {"schedule": "one-cycle"},
        {"schedule": "cosine", "ema": 0.8},
        {"schedule": "cosine", "warmup_epochs": 0.5, "patience": 1, "learning_rate": 1e-9, "epochs": 9},
    ],
)
def test_epochs_are_added_to_a_finished_run(recipe: dict[str, object], tree: Path, tmp_path: Path) -> None:
    chosen = options(tmp_path, tree, **({"epochs": 2} | recipe))
    first = train_one(chosen)
    if "patience" in recipe:
        assert first.epochs < 9  # nothing got better
    longer = replace(
        chosen, epochs=chosen.epochs + 3, patience=None if "patience" not in recipe else 1, resume=True
    )
    result = train_one(longer)
    assert first.epochs < result.epochs <= longer.epochs
    assert steps(chosen.run_folder) == [9 * epoch for epoch in range(1, result.epochs + 1)]
    provenance = load_checkpoint(chosen.output).info.provenance
    assert provenance["settings"]["epochs"] == longer.epochs
    assert provenance["first_epoch"] == first.epochs
    assert json.loads((chosen.run_folder / "figures.json").read_text())["epochs"] == result.epochs
    # It has ended with these: the same call is evaluated and written again, and two more may follow.
    assert train_one(longer).judged_right == result.judged_right
    if "patience" not in recipe:
        assert train_one(replace(longer, epochs=7)).epochs == 7


def test_added_epochs_have_a_schedule_of_their_own(tree: Path, tmp_path: Path) -> None:
    chosen = options(tmp_path, tree, epochs=2)
    train(chosen)
    ended = learning_rates(chosen.run_folder)
    assert ended < 0.02 * chosen.learning_rate
    rates: list[float] = []

    def note_rate(callback: object, trainer: L.Trainer, *arguments: object) -> None:
        rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RegionHistory, "on_train_batch_end", note_rate)
        train(replace(chosen, epochs=5, resume=True))
    assert len(rates) == 3 * 9
    assert max(rates) == pytest.approx(chosen.learning_rate, rel=0.01)
    assert rates.index(max(rates)) < 5
    assert rates[-1] < 0.05 * chosen.learning_rate


def test_epochs_are_added_only_to_a_run_that_ended(tree: Path, tmp_path: Path) -> None:
    chosen = options(tmp_path, tree, epochs=2)
    train(chosen)
    (chosen.run_folder / "figures.json").unlink()  # as if it had been interrupted
    with pytest.raises(
        UsageError, match=r"started with epochs 2, got 4; .*more --epochs can follow once it has ended"
    ):
        train(replace(chosen, epochs=4, resume=True))
    train(replace(chosen, resume=True))
    with pytest.raises(UsageError, match="started with epochs 2, got 1"):
        train(replace(chosen, epochs=1, resume=True))
    with pytest.raises(UsageError, match="started with seed 3, got 4"):
        train(replace(chosen, epochs=4, seed=4, resume=True))
    assert train_one(replace(chosen, epochs=4, resume=True)).epochs == 4


def test_added_epochs_have_a_schedule_of_at_least_three_steps(tree: Path, tmp_path: Path) -> None:
    chosen = options(tmp_path, tree, epochs=2, batch_size=27)
    train(chosen)
    for _ in range(2):  # a refusal changes nothing
        with pytest.raises(UsageError, match=r"--batch-size 27 and --epochs 3 after 2 make less than three"):
            train(replace(chosen, epochs=3, resume=True))
    assert train_one(replace(chosen, epochs=4, resume=True)).epochs == 4


def test_added_epochs_that_are_interrupted_go_on(tree: Path, tmp_path: Path) -> None:
    whole, halves = options(tmp_path / "whole", tree, epochs=1), options(tmp_path / "halves", tree, epochs=1)
    for chosen in (whole, halves):
        train(chosen)
    expected = train_one(replace(whole, epochs=4, resume=True))

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "lnlattennet.training._trainer.RegionHistory.on_train_epoch_end", interrupt, raising=False
        )
        with pytest.raises(KeyboardInterrupt):
            train(replace(halves, epochs=4, resume=True))
    result = train_one(replace(halves, epochs=4, resume=True))
    assert result.judged_right == expected.judged_right
    first, second = (load_checkpoint(chosen.output).weights for chosen in (whole, halves))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_folds_that_ended_get_more_epochs(tree: Path, tmp_path: Path) -> None:
    chosen = options(tmp_path, tree, folds=2, epochs=1)
    train(chosen)
    summary = train(replace(chosen, epochs=2, resume=True))
    assert isinstance(summary, CrossValidationResult)
    assert {fold.epochs for fold in summary.folds.values()} == {2}


def test_a_run_that_was_stopped_in_its_first_epoch_is_resumed_by_the_same_command(
    tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """So that a job that is queued again needs one command."""
    chosen = options(tmp_path, tree, epochs=1)
    expected = train_one(chosen)
    for name in ("last.ckpt", "best.ckpt", "figures.json"):
        (chosen.run_folder / name).unlink()
    chosen.output.unlink()
    with caplog.at_level(logging.INFO, "lnlattennet"):
        assert train_one(replace(chosen, resume=True)).judged_right == expected.judged_right
    assert "the run was stopped in its first epoch, so it starts anew" in caplog.text


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_in_which_another_process_trains_is_refused(
    resume: bool, tree: Path, tmp_path: Path
) -> None:
    """A job that is queued again may start while its first run still trains."""
    chosen = options(tmp_path, tree, epochs=1, resume=resume)
    with (
        sole_run(chosen.run_folder),
        pytest.raises(UsageError, match=r"another process trains in .*; let it end, or choose another"),
    ):
        train(chosen)
    assert not chosen.run_folder.exists()
    assert train(chosen)


@pytest.mark.parametrize("folds", [None, 2])
def test_a_run_that_was_stopped_before_its_first_epoch_starts_by_the_same_command(
    tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, folds: int | None
) -> None:
    """Nothing is in its folder while the faces are prepared."""
    chosen = options(tmp_path, tree, epochs=1, folds=folds, resume=True)
    with caplog.at_level(logging.INFO, "lnlattennet"):
        train(chosen)
    assert f"--resume: there is no run in {chosen.run_folder} yet, so it starts" in caplog.text


@pytest.mark.parametrize(
    ("folds", "message"),
    [(None, "has files and no settings.json of a run"), (2, "there is no run of all folds")],
)
def test_a_folder_of_something_else_is_not_resumed(
    tree: Path, tmp_path: Path, folds: int | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        train(options(tmp_path, tree, folds=folds, run_folder=tree, resume=True))


def test_checkpoints_are_written_beside_the_earlier_ones(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a temporary folder in another file system they would be copied, byte by byte."""
    chosen = options(tmp_path, tree, epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "there is none"))
        train(chosen)
    assert {path.name for path in chosen.run_folder.glob("*.ckpt")} == {"best.ckpt", "last.ckpt"}


def test_a_damaged_training_checkpoint_is_named(tree: Path, tmp_path: Path) -> None:
    chosen = options(tmp_path, tree, epochs=1)
    expected = train_one(chosen)
    last = chosen.run_folder / "last.ckpt"
    whole = last.read_bytes()
    for content in (whole[: len(whole) // 2], b"no checkpoint", b""):
        last.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"last\.ckpt is damaged or cut off: remove it"):
            train(replace(chosen, resume=True))
    last.unlink()
    assert train_one(replace(chosen, resume=True)).judged_right == expected.judged_right


def test_a_training_checkpoint_that_the_system_does_not_open_is_not_called_damaged(tmp_path: Path) -> None:
    """It may be whole, and nobody should remove it."""
    last = tmp_path / "last.ckpt"
    last.mkdir()  # root may open every file
    with pytest.raises(OSError, match=r"last\.ckpt"):
        AtomicCheckpointIO().load_checkpoint(last)


@pytest.mark.parametrize("content", [b"", b"// for an editor\n{}", b"[3]"])
@pytest.mark.parametrize("name", ["settings.json", "figures.json"])
def test_a_file_that_is_no_training_s_is_named(name: str, content: bytes, tree: Path, tmp_path: Path) -> None:
    chosen = options(tmp_path, tree, resume=True)
    chosen.run_folder.mkdir(parents=True)
    (chosen.run_folder / "settings.json").write_text('{"epochs": 1}')
    (chosen.run_folder / name).write_bytes(content)
    with pytest.raises(UsageError, match=rf"{name} is damaged, or no file of a training .* --run-folder"):
        train(chosen)
    assert (chosen.run_folder / name).read_bytes() == content


class TestOutput:
    """An existing file is not overwritten without --force, unless it is the run's own."""

    def test_another_run(self, tree: Path, tmp_path: Path) -> None:
        chosen = options(tmp_path, tree, epochs=1)
        train(chosen)
        written = chosen.output.read_bytes()
        other = replace(chosen, seed=4, run_folder=tmp_path / "runs" / "b")
        with pytest.raises(
            UsageError, match=r"--output .*a\.safetensors exists; choose another file, or give --force"
        ):
            train(other)
        assert not other.run_folder.exists()
        assert chosen.output.read_bytes() == written
        train(replace(other, force=True))
        assert chosen.output.read_bytes() != written

    def test_a_resumed_run_that_is_to_write_elsewhere(self, tree: Path, tmp_path: Path) -> None:
        chosen = options(tmp_path, tree, epochs=1)
        train(chosen)
        train(replace(chosen, resume=True))
        other = tmp_path / "other.safetensors"
        other.write_bytes(b"somebody's")
        with pytest.raises(UsageError, match=r"other\.safetensors exists"):
            train(replace(chosen, resume=True, output=other))
        assert other.read_bytes() == b"somebody's"

    def test_one_of_several_folds(self, tree: Path, tmp_path: Path) -> None:
        for name in ("a-fold1.safetensors", "a-folds.json"):
            (tmp_path / name).write_bytes(b"somebody's")
            with pytest.raises(UsageError, match=f"{name} exists"):
                train(options(tmp_path, tree, folds=2, epochs=1))
            assert not (tmp_path / "runs").exists()
            (tmp_path / name).unlink()

    def test_folds_that_are_to_write_elsewhere(self, tree: Path, tmp_path: Path) -> None:
        """Another output of the first fold says nothing of the others."""
        chosen = options(tmp_path, tree, folds=2, epochs=1)
        train(chosen)
        for name in ("b-folds.json", "b-fold1.safetensors"):
            (tmp_path / name).write_bytes(b"somebody's")
            with pytest.raises(UsageError, match=f"{name} exists"):
                train(replace(chosen, resume=True, output=tmp_path / "b.safetensors"))
            assert (tmp_path / name).read_bytes() == b"somebody's"
        train(replace(chosen, resume=True, force=True, output=tmp_path / "b.safetensors"))
        for name in ("b-fold1.safetensors", "b-folds.json"):
            assert (tmp_path / name).read_bytes() != b"somebody's"

    def test_a_fold_that_had_not_begun(self, tree: Path, tmp_path: Path) -> None:
        chosen = options(tmp_path, tree, folds=2, epochs=1)
        train(chosen)
        shutil.rmtree(chosen.run_folder / "fold1")
        with pytest.raises(UsageError, match=r"a-fold1\.safetensors exists"):
            train(replace(chosen, resume=True))

    def test_a_run_of_an_earlier_version_knows_its_own(self, tree: Path, tmp_path: Path) -> None:
        """Its settings do not name it, its figures do."""
        chosen = options(tmp_path, tree, epochs=1)
        train(chosen)
        path = chosen.run_folder / "settings.json"
        settings = json.loads(path.read_text())
        del settings["output"], settings["holdout"]
        path.write_text(json.dumps(settings))
        train(replace(chosen, resume=True))


def test_without_a_terminal_every_epoch_is_a_line(
    tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses: list[float] = []

    def note_loss(callback: object, trainer: object, module: object, outputs: Any, *batch: object) -> None:
        losses.append(float(outputs["loss"]))

    monkeypatch.setattr(RegionHistory, "on_train_batch_end", note_loss)
    with caplog.at_level(logging.INFO, "lnlattennet"):
        train(options(tmp_path, tree, epochs=2))
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("epoch ")]
    assert [line.partition(":")[0] for line in lines] == ["epoch 1 of 2", "epoch 2 of 2"]
    with (tmp_path / "runs" / "a" / "log" / "metrics.csv").open() as file:
        accuracies = [float(row["val_accuracy"]) for row in csv.DictReader(file) if row["val_accuracy"]]
    for line, accuracy, batches in zip(lines, accuracies, (losses[:9], losses[9:]), strict=True):
        assert f"validation accuracy {100 * accuracy:.1f}%" in line
        told = float(line.partition("training loss ")[2].partition(",")[0])
        assert told == pytest.approx(sum(batches) / 9, abs=2e-4)
