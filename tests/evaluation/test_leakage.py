"""Evaluation on the faces that a model's own training held out, and notes on those that it used."""

from __future__ import annotations

import csv
import json
import shutil
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lnlattennet.data import load_dataset
from lnlattennet.data._protocols import Folds, partitions
from lnlattennet.data.preparation._tree_writer import write_prepared
from lnlattennet.evaluation._cli import evaluate
from lnlattennet.evaluation._leakage import HELD_OUT, choose_faces, rendered_leakage_notes
from lnlattennet.evaluation.predictors._bundle import bundle_predictor
from lnlattennet.evaluation.predictors._checkpoint import checkpoint_predictor
from lnlattennet.model._checkpoint import CheckpointInfo, save_checkpoint
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.model._provenance import public_provenance
from tests.data.trees import BUILDERS, build_folder, build_jaffe, write_image
from tests.evaluation.provenances import SEED, provenance_of
from tests.training.trees import TINY

CLASSES = ("calm", "frown", "grin")


pytestmark = pytest.mark.usefixtures("own_logging")


def held_out_names(
    tree: Path, folds: Folds, fold: int, layout: str | None = None, part: str = "test"
) -> list[str]:
    data = load_dataset(tree, layout)
    indices = partitions(data, folds, SEED)[fold].splits[part]
    return [data.faces[index].name for index in indices]


def evaluated_faces(document: dict[str, Any], folder: Path) -> list[str]:
    assert document["data"]["split"] == HELD_OUT
    with (folder / "predictions.csv").open(newline="") as stream:
        return [row["face"] for row in csv.DictReader(stream)]


def run(*arguments: object) -> dict[str, Any]:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(evaluate)
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.exception
    return dict(json.loads(result.stdout))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two images of three classes in each of three official splits."""
    build_folder(tmp_path / "tree")
    return tmp_path / "tree"


@pytest.fixture
def checkpoint(tree: Path, tmp_path: Path) -> Path:
    """Network with random weights and the provenance of a training on fold 1 of 3."""
    info = CheckpointInfo(
        config=TINY,
        class_names=CLASSES,
        preprocessing=Preprocessing(size=16),
        provenance=provenance_of(tree, 3, 1),
    )
    save_checkpoint(tmp_path / "f1.safetensors", LNLAttenNet(TINY), info)
    return tmp_path / "f1.safetensors"


def test_the_command_evaluates_the_faces_that_the_fold_held_out(
    checkpoint: Path, tree: Path, tmp_path: Path
) -> None:
    document = run(checkpoint, "--data", tree, "-o", tmp_path / "out")
    assert evaluated_faces(document, tmp_path / "out") == held_out_names(tree, 3, 1)
    assert document["faces"] == 6
    assert [note for note in document["notes"] if "training held out (fold 1 of 3)" in note]


def test_with_an_explicit_split_a_note_counts_the_faces_it_knows(checkpoint: Path, tree: Path) -> None:
    learned, chosen_by = (held_out_names(tree, 3, 1, part=part) for part in ("train", "val"))
    for split in ("test", "all"):
        document = run(checkpoint, "--data", tree, "--split", split)
        count = 6 if split == "test" else 18
        assert (document["data"]["split"], document["faces"]) == (split, count)
        for known, text in ((learned, "learned {} of"), (chosen_by, "temperature by {} of")):
            number = sum(split == "all" or name.startswith("test/") for name in known)
            note = text.format(number) + f" these {count} faces (fold 1 of 3)"
            assert bool([entry for entry in document["notes"] if note in entry]) == bool(number)


@pytest.mark.parametrize("name", ["ckplus", "ckplus-neutral", "ck48", "jaffe", "oulu-casia"])
@pytest.mark.parametrize("folds", [2, "loso"])
def test_every_layout_without_official_splits_finds_its_folds_again(
    tmp_path: Path, name: str, folds: Folds
) -> None:
    build, layout = BUILDERS[name]
    build(tmp_path / name)
    data = load_dataset(tmp_path / name, layout)
    chosen = [
        choose_faces(data, None, provenance_of(tmp_path / name, folds, fold, layout)) for fold in (0, 1)
    ]
    for fold, (part, split, _) in enumerate(chosen):
        assert split == HELD_OUT
        assert [face.name for face in part.faces] == held_out_names(tmp_path / name, folds, fold, layout)
    assert not {face.name for face in chosen[0][0].faces} & {face.name for face in chosen[1][0].faces}


def test_a_server_tells_enough_to_find_the_faces_of_a_holdout_again(tmp_path: Path) -> None:
    build_jaffe(tmp_path / "jaffe")
    data = load_dataset(tmp_path / "jaffe")
    provenance = public_provenance(provenance_of(tmp_path / "jaffe", None, None, holdout=0.4))
    part, split, notes = choose_faces(data, None, provenance)
    [expected] = partitions(data, None, SEED, 0.4)
    assert split == HELD_OUT
    assert part.faces == data.select(expected.splits["test"].tolist()).faces
    assert "training held out (holdout 0.4)" in notes[0]


def test_only_a_split_with_faces_of_the_training_has_a_note(tmp_path: Path) -> None:
    """Here the official test split is the person whom the fold left out."""
    build_jaffe(tmp_path / "jaffe")
    provenance = provenance_of(tmp_path / "jaffe", "loso", 0)
    data = load_dataset(tmp_path / "jaffe")
    faces = tuple(replace(face, split="test" if face.subject == "KA" else "train") for face in data.faces)
    data = replace(data, faces=faces)
    assert choose_faces(data, "test", provenance)[2] == ()
    learned, chosen_by = choose_faces(data, "train", provenance)[2]
    numbers = [
        int(note.partition(" of these 28 faces (without subject KA)")[0].split()[-1])
        for note in (learned, chosen_by)
    ]
    assert sum(numbers) == 28


def test_data_that_changed_since_is_evaluated_as_ever_with_a_note(tree: Path) -> None:
    provenance = provenance_of(tree, 3, 1)
    write_image(tree / "train" / "grin" / "new.png")
    for split, expected in ((None, "test"), ("train", "train")):
        _, name, notes = choose_faces(load_dataset(tree), split, provenance)
        assert name == expected
        assert [note for note in notes if "cannot be identified" in note and "fold 1 of 3" in note]


def test_the_same_faces_are_found_again_where_the_folder_was_moved_to(tree: Path, tmp_path: Path) -> None:
    provenance, expected = provenance_of(tree, 3, 1), held_out_names(tree, 3, 1)
    moved = Path(shutil.move(tree, tmp_path / "moved"))
    part, name, _ = choose_faces(load_dataset(moved), None, provenance)
    assert (name, [face.name for face in part.faces]) == (HELD_OUT, expected)


def test_as_many_faces_of_other_names_may_be_others(tree: Path) -> None:
    """Their order, and so the fold's faces, would be other ones."""
    provenance = provenance_of(tree, 3, 1)
    (tree / "test" / "calm" / "0.png").rename(tree / "test" / "calm" / "9.png")
    _, name, notes = choose_faces(load_dataset(tree), None, provenance)
    assert name == "test"
    assert "cannot be identified" in notes[0]


def test_faces_of_a_published_set_that_changed_are_doubted_in_a_folder_of_any_name(
    tmp_path: Path,
) -> None:
    """Its format says which data set it is; a folder tree of the same name or size may be anybody's."""
    build_jaffe(tmp_path / "jaffe")
    provenance = provenance_of(tmp_path / "jaffe", "loso", 0)
    elsewhere = Path(shutil.copytree(tmp_path / "jaffe", tmp_path / "elsewhere"))
    next(elsewhere.glob("*.tiff")).unlink()
    assert "cannot be identified" in choose_faces(load_dataset(elsewhere), None, provenance)[2][-1]


def test_faces_that_were_prepared_from_a_data_set_are_doubted_as_those_of_it(tmp_path: Path) -> None:
    """They have names of their own, by which no fold is found again."""
    prepared, jaffe = tmp_path / "faces", tmp_path / "jaffe"
    build_jaffe(jaffe)
    prepared.mkdir()
    write_prepared(load_dataset(jaffe), Preprocessing(size=16), prepared)
    for learned, judged in ((prepared, jaffe), (jaffe, prepared)):
        provenance = provenance_of(learned, 2, 0)
        for stated in (provenance, public_provenance(provenance)):
            note = choose_faces(load_dataset(judged), None, stated)[2][-1]
            assert "cannot be identified" in note
            assert "(fold 0 of 2) of a data set of the format jaffe." in note
    build_folder(tmp_path / "other")
    assert choose_faces(load_dataset(tmp_path / "other"), None, provenance_of(prepared, 2, 0))[2] == ()


def test_faces_of_classes_whose_letters_were_decomposed_since_are_doubted(tree: Path, tmp_path: Path) -> None:
    name = "joie fi\N{LATIN SMALL LETTER E WITH GRAVE}re"
    for folder in tree.glob("*/grin"):
        folder.rename(folder.with_name(name))
    provenance = provenance_of(tree, 3, 1)
    moved = Path(shutil.move(tree, tmp_path / "moved"))
    for folder in moved.glob(f"*/{name}"):
        folder.rename(folder.with_name(unicodedata.normalize("NFD", name)))
    assert "cannot be identified" in choose_faces(load_dataset(moved), None, provenance)[2][-1]


def test_other_data_is_evaluated_as_ever(tree: Path, tmp_path: Path) -> None:
    build_folder(tmp_path / "other", splits=("train", "test"))
    for path, provenance in ((tree, {}), (tmp_path / "other", provenance_of(tree, 3, 1))):
        assert choose_faces(load_dataset(path), None, provenance)[1:] == ("test", ())


def test_a_training_on_the_official_split_is_evaluated_on_its_test_faces(tree: Path) -> None:
    provenance, data = provenance_of(tree, None, None), load_dataset(tree)
    assert choose_faces(data, None, provenance)[1:] == ("test", ())
    learned = "learned 6 of these {} faces (official)"
    chosen_by = "its temperature by 6 of these {} faces (official)"
    for split, count, expected in (
        ("train", 6, [learned]),
        ("val", 6, [chosen_by]),
        ("all", 18, [learned, chosen_by]),
    ):
        notes = choose_faces(data, split, provenance)[2]
        assert len(notes) == len(expected)
        for note, text in zip(notes, expected, strict=True):
            assert text.format(count) in note


def test_validation_faces_that_are_the_default_are_said_to_have_chosen_epoch_and_temperature(
    tmp_path: Path,
) -> None:
    build_folder(tmp_path / "tree", splits=("train", "val"))
    part, name, notes = choose_faces(
        load_dataset(tmp_path / "tree"), None, provenance_of(tmp_path / "tree", None, None)
    )
    assert (name, len(part)) == ("val", 6)
    assert "There is no test split" in notes[0]
    assert "its temperature by 6 of these 6 faces (official)" in notes[1]


def test_without_official_test_and_validation_faces_the_held_out_ones_are_evaluated(
    tmp_path: Path,
) -> None:
    tree = tmp_path / "tree"
    build_folder(tree, splits=("train",))
    part, name, notes = choose_faces(load_dataset(tree), None, provenance_of(tree, None, None))
    assert name == HELD_OUT
    assert [face.name for face in part.faces] == held_out_names(tree, None, 0, part="val")
    assert "training held out (official)" in notes[0]
    assert "its temperature by 3 of these 3 faces" in notes[1]


@pytest.mark.parametrize("split", [None, "test", "train"])
def test_a_split_that_was_drawn_again_since_an_official_training_is_doubted(
    tree: Path, split: str | None
) -> None:
    provenance = provenance_of(tree, None, None)
    data = load_dataset(tree)
    drawn = {"train": "test", "test": "train", "val": "val"}
    data = replace(data, faces=tuple(replace(face, split=drawn[str(face.split)]) for face in data.faces))
    [note] = choose_faces(data, split, provenance)[2]
    assert "cannot be identified" in note
    assert "(its official split)" in note


@pytest.mark.parametrize(
    ("split", "seed", "images", "text"),
    [
        ("train", 2, 30, "learned 20 of these 30 faces (seed 2)"),
        ("train", 2, 10, "learned 10 of these 10 faces (seed 2)"),
        ("val", 2, 10, "temperature by 7 of these 10 faces (seed 2)"),
        ("test", 2, 10, None),
        ("train", 3, 10, None),
    ],
)
def test_rendered_faces_of_the_training_are_counted(
    split: str, seed: int, images: int, text: str | None
) -> None:
    """Any number of a split's faces is rendered in turn from its seed on."""
    settings = {"seed": 2, "images": {"train": 20, "val": 7, "test": 7}}
    notes = rendered_leakage_notes({"data": "synthetic", "settings": settings}, split, images, seed)
    assert len(notes) == (text is not None)
    assert text is None or text in notes[0]
    assert rendered_leakage_notes({"data": "faces", "settings": settings}, split, images, seed) == ()
    assert rendered_leakage_notes({"data": "synthetic"}, split, images, seed) == ()


@pytest.mark.parametrize(
    "settings",
    [
        None,
        "3",
        {},
        {"folds": 3, "fold": 1},
        {"folds": 3, "fold": True, "seed": 5},
        {"folds": "all", "fold": 1, "seed": 5},
        {"folds": 3, "fold": 1, "seed": -1},
    ],
)
def test_a_provenance_without_a_fold_is_no_error(tree: Path, settings: object) -> None:
    provenance = provenance_of(tree, 3, 1) | {"settings": settings}
    assert choose_faces(load_dataset(tree), None, provenance)[1:] == ("test", ())


@pytest.mark.parametrize("settings", [{"folds": 10**9}, {"fold": 7}, {"folds": "loso"}, {"folds": 1}])
def test_a_fold_that_this_data_cannot_have_is_doubted(tree: Path, settings: dict[str, object]) -> None:
    provenance = provenance_of(tree, 3, 1)
    provenance["settings"] |= settings
    _, name, notes = choose_faces(load_dataset(tree), None, provenance)
    assert name == "test"
    assert "cannot be identified" in notes[0]


def test_a_bundle_brings_its_checkpoints_provenance(checkpoint_path: Path, bundle_path: Path) -> None:
    provenance = bundle_predictor(bundle_path, "openvino-fp32").provenance
    assert provenance == checkpoint_predictor(checkpoint_path).provenance == {"data": "none"}
