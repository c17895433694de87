"""Short real runs whose test faces are no official split: folds, a holdout, a subject left out."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lnlattennet.data import load_dataset
from lnlattennet.data.synthetic import EXPRESSIONS, render_face
from lnlattennet.errors import DataError
from lnlattennet.evaluation._leakage import choose_faces
from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.training._data import open_training_data
from lnlattennet.training._results import CrossValidationResult
from lnlattennet.training._train import train
from tests.training.trees import CLASSES, options, train_one, write_faces


def test_all_folds_are_trained_and_summed_up_and_go_on_after_a_stop(tree: Path, tmp_path: Path) -> None:
    chosen = options(tmp_path, tree, folds=3, epochs=1)
    summary = train(chosen)
    assert isinstance(summary, CrossValidationResult)
    folds = summary.folds.values()
    assert [fold.judged_faces for fold in folds] == [26, 26, 26]
    accuracies = [fold.judged_right / 26 for fold in folds]
    assert summary.mean_accuracy == pytest.approx(np.mean(accuracies), abs=1e-4)
    assert summary.standard_deviation == pytest.approx(np.std(accuracies, ddof=1), abs=1e-4)
    assert summary.pooled_accuracy == pytest.approx(np.mean(accuracies), abs=1e-4)
    assert summary.faces == 78
    written = json.loads((tmp_path / "a-folds.json").read_text())
    assert written | {"summary": summary.summary} == summary.to_dict()
    assert [fold["name"] for fold in written["folds"]] == [f"fold {index} of 3" for index in range(3)]
    saved = [load_checkpoint(tmp_path / f"a-fold{index}.safetensors") for index in range(3)]
    assert [one.info.provenance["protocol"] for one in saved] == [f"fold {i} of 3" for i in range(3)]
    assert any("official split is set aside" in note for note in saved[0].info.provenance["notes"])

    # As if the last fold had not begun, and the first one's checkpoint was lost: the other is taken as it is,
    # and both come out the same.
    (tmp_path / "a-fold0.safetensors").unlink()
    for file in sorted((chosen.run_folder / "fold2").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    (tmp_path / "a-fold2.safetensors").unlink()
    written_at = (tmp_path / "a-fold1.safetensors").stat().st_mtime_ns
    again = train(options(tmp_path, tree, folds=3, epochs=1, resume=True))
    assert (tmp_path / "a-fold1.safetensors").stat().st_mtime_ns == written_at
    assert isinstance(again, CrossValidationResult)
    assert again.pooled_accuracy == summary.pooled_accuracy
    assert all((tmp_path / f"a-fold{index}.safetensors").is_file() for index in (0, 2))


def test_one_fold_is_the_same_as_in_all_folds(tree: Path, tmp_path: Path) -> None:
    chosen = options(tmp_path, tree, folds=3, fold=1, epochs=1)
    train(chosen)
    provenance = load_checkpoint(chosen.output).info.provenance
    assert provenance["protocol"] == "fold 1 of 3"
    assert provenance["settings"]["fold"] == 1


def test_a_holdout_is_tested_on_and_evaluated_again(tmp_path: Path) -> None:
    """Folders of classes, the most usual data of one's own."""
    for label in CLASSES:
        write_faces(tmp_path / "faces", label, 20)
    with pytest.raises(DataError, match=r"or hold out a test split with --holdout 0\.2"):
        train(options(tmp_path, tmp_path / "faces", epochs=1, faces="as-is"))
    chosen = options(tmp_path, tmp_path / "faces", epochs=1, faces="as-is", holdout=0.2)
    assert train_one(chosen).judged_faces == 12
    provenance = load_checkpoint(chosen.output).info.provenance
    assert provenance["protocol"] == "holdout 0.2"
    assert sum(provenance["counts"]["train"].values()) == 42
    judged, split, notes = choose_faces(load_dataset(tmp_path / "faces"), None, provenance)
    assert (len(judged), split) == (12, "held out")
    assert "held out (holdout 0.2)" in notes[0]
    [source] = open_training_data(chosen)
    assert judged.labels().tolist() == source.labels["test"].tolist()


def test_one_subject_is_left_out(tmp_path: Path) -> None:
    """JAFFE's layout, whose file names say who is shown and what."""
    folder = tmp_path / "jaffe"
    folder.mkdir()
    codes = {name[:2].upper(): name for name in EXPRESSIONS}
    for person, subject in enumerate(("KA", "KL", "KM")):
        for (code, label), take in itertools.product(codes.items(), (1, 2)):
            face = render_face(person * 10 + take, label, size=24, with_regions=False).image
            Image.fromarray(face).save(folder / f"{subject}.{code}{take}.{take}.tiff")
    chosen = options(tmp_path, folder, format="jaffe", folds="loso", fold=1, batch_size=4)
    assert len(open_training_data(options(tmp_path, folder, format="jaffe", folds="loso"))) == 3
    assert train_one(chosen).judged_faces == 14
    provenance = load_checkpoint(chosen.output).info.provenance
    assert provenance["protocol"] == "without subject KL"
    assert sum(provenance["counts"]["train"].values()) == 14
    assert sum(provenance["counts"]["val"].values()) == 14
