"""Short real runs on a folder of images: training, evaluation, saving and refusals."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from lnlattennet.data import load_dataset
from lnlattennet.data.preparation._tree_writer import write_prepared
from lnlattennet.errors import DataError, ImageError, UsageError
from lnlattennet.evaluation._data import dataset_faces
from lnlattennet.evaluation._leakage import choose_faces
from lnlattennet.images.finders._registry import finder_named
from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.training import _train
from lnlattennet.training._data import open_training_data
from lnlattennet.training._datamodule import FaceBatches
from lnlattennet.training._results import evaluate_best_epoch
from lnlattennet.training._train import train
from tests.data.preparation.photographs import photograph, write
from tests.data.trees import build_ferplus_folders
from tests.training.trees import CLASSES, TINY, options, prepared, train_one, write_faces, write_tree


def region_rows(path: Path) -> list[list[float]]:
    with (path / "region_weights.csv").open() as file:
        header, *rows = csv.reader(file)
    assert header == ["step", "region_0", "region_1", "region_2", "region_3"]
    return [[float(value) for value in row] for row in rows]


def test_a_checkpoint_says_what_it_was_trained_on(tree: Path, tmp_path: Path) -> None:
    chosen = options(tmp_path, tree, balance="loss", label_smoothing=0.1, augmentation="light")
    figures = train_one(chosen)
    info = load_checkpoint(tmp_path / "a.safetensors").info
    assert info.class_names == CLASSES
    assert info.config.classes == 3
    assert info.license.startswith("Trained on a data set of the format folder. The weights inherit")
    assert "face-images" not in info.license
    provenance = info.provenance
    assert provenance["format"] == "folder"
    assert provenance["protocol"] == "official"
    assert provenance["counts"]["train"] == dict.fromkeys(CLASSES, 18)
    assert provenance["counts"]["val"] == dict.fromkeys(CLASSES, 2)
    assert provenance["counts"]["test"] == dict.fromkeys(CLASSES, 6)
    assert provenance["settings"]["seed"] == 3
    assert {"torch", "lightning", "numpy", "pillow", "opencv", "python"} <= set(provenance)
    assert provenance["temperature"] == figures.temperature > 0
    assert str(tmp_path) not in json.dumps(provenance)
    # A training checkpoint has all of it but the figures, so that it is evaluated on the same faces.
    best = load_checkpoint(chosen.run_folder / "best.ckpt", allow_pickle=True).info.provenance
    assert best == {name: provenance[name] for name in best}
    assert {"fingerprint", "settings", "format", "counts"} <= set(best)
    assert figures.judged_on == "test"
    assert figures.judged_faces == 18
    assert figures.test_accuracy == round(figures.judged_right / 18, 4)
    assert json.loads((chosen.run_folder / "figures.json").read_text()) == figures.to_dict()
    assert list((chosen.run_folder / "tensorboard").glob("events*"))
    assert not list(chosen.run_folder.glob("faces-*"))


def test_a_training_on_photographs_records_how_its_faces_were_made(tmp_path: Path) -> None:
    """And an evaluation that makes them otherwise says so."""
    tree = tmp_path / "photographs"
    for number in range(8):
        write(tree / "train" / "ab"[number % 2] / f"{number}.png", photograph(15 + number))
    write(tree / "test" / "a" / "0.png", photograph(23))
    write(tree / "test" / "b" / "0.png", photograph())
    chosen = options(tmp_path, tree, batch_size=2, face_margin=0.2, epochs=1)
    train(chosen)
    info = load_checkpoint(chosen.output).info
    assert info.preprocessing.face_margin == 0.2
    assert info.preprocessing.face_finder_version == finder_named("haar").version()
    made = info.provenance["preparation"]
    assert made == {"faces": "cropped", "as_is": 0, "found": 9, "several": 0, "none": 1}
    for faces, warnings in (("auto", 0), ("as-is", 1)):
        data = load_dataset(tree, faces=faces)  # type: ignore[arg-type]
        judged = dataset_faces(data, "all", info.preprocessing, info.provenance)
        assert sum("--faces as-is took the images" in note for note in judged.notes) == warnings
        for _ in range(2):  # counted anew each time
            assert sum(map(len, judged.chunks())) == 10
        assert judged.preparation is not None
        assert judged.preparation.outcomes["none"] == 1 - warnings


def test_equalized_images_are_told_in_training_and_evaluation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tree = write_tree(tmp_path / "tree", train=3, val=2, test=3)
    for path in (tree / "train").glob("*/*.png"):
        cv2.imwrite(str(path), cv2.equalizeHist(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)))
    with caplog.at_level("WARNING"):
        [source] = open_training_data(options(tmp_path, tree, faces="as-is"))
        for split in source.labels:
            prepared(source, split)
    [told] = [line for line in caplog.messages if "equalized" in line]
    assert told.startswith("train: 9 of 9 images have an equalized histogram")
    data = load_dataset(tree, faces="as-is")
    for split, notes in (("train", 1), ("test", 0)):
        judged = dataset_faces(data, split, Preprocessing(size=16))
        assert sum(map(len, judged.chunks())) == 9
        assert judged.preparation is not None
        assert len(judged.preparation.notes()) == notes


def test_what_was_validated_is_what_is_saved(tree: Path, tmp_path: Path) -> None:
    """With averaged weights too: a row of the history is that of the saved network."""
    chosen = options(tmp_path, tree, ema=0.8, schedule="cosine", balance="sampler", learning_rate=0.1)
    train(chosen)
    checkpoint = load_checkpoint(chosen.output)
    [source] = open_training_data(chosen)
    faces = torch.from_numpy(checkpoint.info.preprocessing.normalize(prepared(source, "val")))
    with torch.inference_mode():
        outputs = checkpoint.network()(faces)
    rows = region_rows(chosen.run_folder)
    assert [row[0] for row in rows] == [9, 18, 27]
    mean = outputs.region_weights.mean(dim=0).numpy()
    matches = [np.allclose(row[1:], mean, atol=2e-6) for row in rows]
    assert matches.count(True) == 1
    right = (outputs.logits.argmax(dim=1).numpy() == source.labels["val"]).mean()
    assert checkpoint.info.provenance["val_accuracy"] == round(float(right), 4)


def test_the_average_of_a_short_training_is_of_its_own_weights(tree: Path, tmp_path: Path) -> None:
    """Not of the initial ones, which a decay of 0.999 would keep for thousands of steps."""
    first = options(tmp_path / "first", tree)
    train(first)
    chosen = options(tmp_path / "then", tree, init=first.output, ema=0.999)
    train(chosen)
    last = torch.load(chosen.run_folder / "last.ckpt", weights_only=False)
    began = load_checkpoint(first.output).network().state_dict()
    moved = {
        state: sum(
            float((last[state][f"network.{name}"] - value).square().sum())
            for name, value in began.items()
            if value.is_floating_point()
        )
        for state in ("state_dict", "current_model_state")
    }
    assert moved["state_dict"] > moved["current_model_state"] / 4


def test_the_figures_of_a_run_are_of_full_float32(
    tree: Path, tmp_path: Path, cudnn_settings: set[tuple[bool, bool]]
) -> None:
    """A GPU would round to TF32 in training, and an evaluation of the checkpoint would give other figures."""
    chosen = options(tmp_path, tree)
    [source] = open_training_data(chosen)
    batches = FaceBatches(source, Preprocessing(size=16), chosen)
    batches.prepare_data()
    evaluate_best_epoch(LNLAttenNet(TINY), batches, torch.device("cpu"), 1, 1.0)
    assert cudnn_settings == {(True, False)}


def test_one_epoch_of_the_cosine_schedule_is_trained_and_resumed(tree: Path, tmp_path: Path) -> None:
    """The default warm-up of one epoch would leave no epoch to train."""
    figures = train_one(options(tmp_path, tree, schedule="cosine", epochs=1))
    assert figures.epochs == 1
    again = train_one(options(tmp_path, tree, schedule="cosine", epochs=1, resume=True))
    assert replace(again, training_seconds=0) == replace(figures, training_seconds=0)


def test_without_a_test_split_the_figures_say_what_they_are_of(tmp_path: Path) -> None:
    figures = train_one(options(tmp_path, write_tree(tmp_path / "faces", train=8, val=4)))
    assert figures.judged_on == "val"
    assert figures.judged_faces == 12
    assert "test_accuracy" not in figures.to_dict()
    info = load_checkpoint(tmp_path / "a.safetensors").info
    assert any("no test split" in note for note in info.provenance["notes"])


def test_a_run_ends_early_when_nothing_gets_better(tree: Path, tmp_path: Path) -> None:
    chosen = options(tmp_path, tree, epochs=30, learning_rate=0.0, patience=2)
    figures = train_one(chosen)
    with (chosen.run_folder / "log" / "metrics.csv").open() as file:
        accuracies = [float(row["val_accuracy"]) for row in csv.DictReader(file) if row["val_accuracy"]]
    assert figures.epochs == len(accuracies) < 30
    assert accuracies.index(max(accuracies)) == len(accuracies) - 1 - 2
    resumed = train_one(options(tmp_path, tree, epochs=30, learning_rate=0.0, patience=2, resume=True))
    assert resumed.epochs == figures.epochs


def test_a_run_goes_on_where_its_folder_was_moved_to(tree: Path, tmp_path: Path) -> None:
    figures = train_one(options(tmp_path, tree))
    moved = (tmp_path / "runs" / "a").rename(tmp_path / "runs" / "elsewhere")
    kept = (moved / "best.ckpt").read_bytes()
    again = train_one(options(tmp_path, tree, run_folder=moved, resume=True))
    assert again.judged_right == figures.judged_right
    assert (moved / "best.ckpt").read_bytes() == kept
    assert not (tmp_path / "runs" / "a").exists()
    logs = {path.parent.name for path in moved.glob("log*/metrics.csv")}
    assert "log" in logs


def test_one_validation_face_chooses_the_epoch_and_calibrates_nothing(tmp_path: Path) -> None:
    faces = write_tree(tmp_path / "faces", train=8, test=2)
    write_faces(faces / "val", "anger", 1)
    figures = train_one(options(tmp_path, faces))
    assert figures.temperature == 1.0
    assert load_checkpoint(tmp_path / "a.safetensors").info.provenance["val_accuracy"] in (0.0, 1.0)


def test_votes_are_fitted_in_training_and_judged_by_their_majority(tmp_path: Path) -> None:
    build_ferplus_folders(tmp_path / "FERPlus")
    votes = "3,0,0,0,3,3,0,0,0,0"
    for split in ("FER2013Train", "FER2013Test"):
        with (tmp_path / "FERPlus" / split / "label.csv").open("a") as labels:
            labels.write(f"fer0000000.png,{votes}\n")
    chosen = options(
        tmp_path, tmp_path / "FERPlus", targets="probability", balance="loss", mixup=0.2, batch_size=4
    )
    [source] = open_training_data(chosen)
    np.testing.assert_allclose(source.training_targets[-1], np.array([1, 0, 0, 0, 1, 1, 0, 0]) / 3)
    assert source.training_targets.shape == (len(source.labels["train"]), 8)
    assert train_one(chosen).judged_faces == len(source.labels["test"]) < len(source.labels["train"])
    info = load_checkpoint(chosen.output).info
    assert info.provenance["settings"]["targets"] == "probability"
    assert info.license.startswith("Trained on FERPlus: research data; the rights of its images")
    # An evaluation, which reads majorities, knows these faces again: it has no doubt to tell.
    judged, split, notes = choose_faces(load_dataset(tmp_path / "FERPlus"), None, info.provenance)
    assert (len(judged), split, notes) == (len(source.labels["test"]), "test", ())
    with pytest.raises(UsageError, match="probability"):
        options(tmp_path, tmp_path / "FERPlus", targets="probability", folds=2).check()


def test_prepared_faces_keep_the_license_note_of_their_source(tmp_path: Path) -> None:
    build_ferplus_folders(tmp_path / "FERPlus")
    for source, folder in (("FERPlus", "faces"), ("faces", "again")):
        (tmp_path / folder).mkdir()
        write_prepared(load_dataset(tmp_path / source), Preprocessing(size=16), tmp_path / folder)
        [data] = open_training_data(options(tmp_path, tmp_path / folder))
        assert data.license.startswith("Trained on FERPlus: research data; the rights of its images")
        assert data.facts["format"] == "prepared"


def test_copies_of_test_faces_are_left_out_of_training(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "faces", train=20, test=6)
    copy = (tree / "test" / CLASSES[0] / "000.png").read_bytes()
    (tree / "train" / CLASSES[1] / "copy.png").write_bytes(copy)
    [whole] = open_training_data(options(tmp_path, tree))
    [reduced] = open_training_data(options(tmp_path, tree, drop_duplicates=True))
    assert len(reduced.labels["train"]) == len(whole.labels["train"]) - 1
    assert len(reduced.labels["test"]) == len(whole.labels["test"])
    assert any(note.startswith("1 of ") and "left out" in note for note in reduced.facts["notes"])
    # Evaluations compute the published partition again; --resume compares what is learned.
    assert reduced.facts["fingerprint"] == whole.facts["fingerprint"]
    assert reduced.fingerprint != whole.fingerprint
    with pytest.raises(UsageError, match="--drop-duplicates is for data sets"):
        options(tmp_path, "synthetic", drop_duplicates=True).check()


@pytest.mark.parametrize("flags", [{"avx2"}, {"avx2", "avx512_bf16"}, {"asimd", "bf16"}])
def test_bf16_on_a_cpu_without_its_instructions_is_warned_of(
    flags: set[str],
    tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    monkeypatch.setattr(_train, "cpu_flags", lambda: frozenset(flags))
    train(options(tmp_path, tree, precision="bf16-mixed"))
    assert ("this CPU has no bf16 instructions" in caplog.text) == (flags == {"avx2"})


class TestRefused:
    def test_a_damaged_image_is_named_before_training(self, tmp_path: Path) -> None:
        faces = write_tree(tmp_path / "faces", train=8, test=2)
        path = faces / "train" / "happiness" / "004.png"
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(ImageError, match=r"train/happiness/004\.png"):
            train(options(tmp_path, faces))
        assert not (tmp_path / "runs" / "a" / "last.ckpt").exists()
        assert not (tmp_path / "a.safetensors").exists()

    @pytest.mark.parametrize("change", ["a face less", "a face that changed its class"])
    def test_to_go_on_with_other_faces(self, change: str, tmp_path: Path) -> None:
        """Another tenth would be held out for validation, and some of it was learned before."""
        faces = write_tree(tmp_path / "faces", train=8, test=2)
        train(options(tmp_path, faces, epochs=1))
        path = faces / "train" / "happiness" / "004.png"
        path.unlink() if change == "a face less" else path.rename(faces / "train" / "anger" / "happy.png")
        with pytest.raises(UsageError, match="the data set has changed since the run was started"):
            train(options(tmp_path, faces, epochs=1, resume=True))

    def test_to_go_on_with_faces_made_in_another_way(self, tmp_path: Path) -> None:
        faces = write_tree(tmp_path / "faces", train=8, test=2)
        train(options(tmp_path, faces, epochs=1, faces="as-is"))
        with pytest.raises(UsageError, match="the run was started with faces 'as-is', got 'crop'"):
            train(options(tmp_path, faces, epochs=1, faces="crop", resume=True))

    def test_a_training_that_diverged(self, tree: Path, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"diverged; use a lower --learning-rate than 1e\+08"):
            train(options(tmp_path, tree, learning_rate=1e8))
        assert not (tmp_path / "a.safetensors").exists()

    def test_a_class_without_training_faces(self, tmp_path: Path) -> None:
        faces = write_tree(tmp_path / "faces", train=8, test=2)
        write_faces(faces / "test", "disgust", 2)
        with pytest.raises(DataError, match="disgust"):
            train(options(tmp_path, faces))

    def test_a_single_class(self, tmp_path: Path) -> None:
        write_faces(tmp_path / "faces" / "train", "anger", 9)
        with pytest.raises(DataError, match="class"):
            train(options(tmp_path, tmp_path / "faces"))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"batch_size": 61}, "60 training faces at --batch-size 61 .* less than three steps"),
            ({"folds": 3, "fold": 3}, "--fold must be from 0 to 2 or all, got 3"),
            ({"fold": 0}, "--fold 0 needs --folds"),
            ({"folds": 3, "devices": 2}, "choose one --fold"),
            ({"ema": 1.0}, "--ema must be a decay between 0 and 1"),
            ({"learning_rate": float("inf")}, "--learning-rate must be a finite number from 0, got inf"),
            ({"weight_decay": float("nan")}, "--weight-decay must be a finite number from 0, got nan"),
            ({"label_smoothing": 1.0}, "--label-smoothing must be from 0 to below 1"),
            (
                {"schedule": "cosine", "warmup_epochs": 3},
                "--warmup-epochs must be from 0 to below --epochs 3",
            ),
            ({"warmup_epochs": 1.0}, "--warmup-epochs is for --schedule cosine"),
            ({"schedule": "step"}, "--schedule must be one of one-cycle, cosine, got 'step'"),
            ({"balance": "all"}, "--balance must be one of none, loss, sampler"),
            ({"augmentation": "strong"}, "--augmentation must be one of none, light, full, faces"),
            ({"magnitude": 0.0}, "--magnitude must be above 0, up to 3"),
            ({"magnitude": 2.0}, "--magnitude is for --augmentation faces, got 'full'"),
            ({"cutmix": float("nan")}, "--cutmix must be a finite number from 0, got nan"),
            ({"format": "imagenet"}, "--format must be one of"),
        ],
    )
    def test_options(self, tree: Path, tmp_path: Path, changes: dict[str, object], message: str) -> None:
        if "batch_size" in changes:
            tree = write_tree(tmp_path / "faces", train=20, val=2)
        with pytest.raises(UsageError, match=message):
            train(options(tmp_path, tree, **changes))

    def test_sixteen_bit_floats_without_a_gpu(self, tree: Path, tmp_path: Path) -> None:
        if torch.cuda.is_available():
            pytest.skip("there is a GPU")
        with pytest.raises(UsageError, match="16-mixed needs a CUDA GPU"):
            train(options(tmp_path, tree, precision="16-mixed"))

    def test_a_class_name_that_no_checkpoint_may_hold(self, tmp_path: Path) -> None:
        for name in ("sans\xa0joie", "joie"):
            (tmp_path / "train" / name).mkdir(parents=True)
            (tmp_path / "train" / name / "a.png").write_bytes(b"")
        problem = r"holds U\+00A0 NO-BREAK SPACE, .*; rename its folder"
        assert any(re.search(problem, note) for note in load_dataset(tmp_path, "folder").notes)
        with pytest.raises(DataError, match=problem):
            train(options(tmp_path, tmp_path))
