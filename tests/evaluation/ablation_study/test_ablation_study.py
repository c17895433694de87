"""Ablation study, very small and end to end: resuming, and the table against hand-computed figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from lnlattennet._statistics import Estimate
from lnlattennet.data.synthetic import render_face
from lnlattennet.errors import UsageError
from lnlattennet.evaluation._crucial_regions import CrucialRegions
from lnlattennet.evaluation._occlusion import OccludedAccuracy
from lnlattennet.evaluation.ablation_study import _study
from lnlattennet.evaluation.ablation_study.__main__ import write_between
from lnlattennet.evaluation.ablation_study._options import DataSetStudyOptions, StudyOptions
from lnlattennet.evaluation.ablation_study._record import Run, StudyRecord, read_record
from lnlattennet.evaluation.ablation_study._study import run_study
from lnlattennet.evaluation.ablation_study._tables import ablation_table, occlusion_figure
from lnlattennet.model._config import NetworkConfig
from lnlattennet.training._ablations import ABLATIONS
from lnlattennet.training._recipes import Recipe, read_recipe, recipe_names

TINY = StudyOptions(
    seeds=(0, 1),
    train_images=28,
    test_images=14,
    epochs=2,
    batch_size=14,
    network=NetworkConfig(image_size=16, widths=(4, 6), channels=4, local_features=3, affinity_features=3),
)


def exact(value: float) -> Estimate:
    return Estimate(value, value, value)


def run(name: str, seed: int, accuracy: float) -> Run:
    curve = [
        OccludedAccuracy(covered, exact(accuracy - lost), exact(lost))
        for covered, lost in ((0, 0.0), (1, 0.01), (2, 0.03), (4, 0.1))
    ]
    regions = CrucialRegions(12, exact(0.85), 0.33, exact(2.5), 3.0, exact(0.5), exact(0.75))
    return Run(ablation=name, seed=seed, training_seconds=9, occlusion=curve, crucial_regions=regions)


def test_the_table_gives_mean_and_standard_deviation_over_the_seeds() -> None:
    runs = [run("full network", 0, 0.90), run("full network", 1, 0.94), run("plain U-Net", 0, 0.8)]
    record = StudyRecord(settings={}, runs=runs)
    table = ablation_table(record).splitlines()
    assert len(table) == 4
    cells = [cell.strip() for cell in table[2].strip("|").split("|")]
    assert cells == [
        "full network",
        "92.0 ± 2.8",
        "1.0 ± 0.0",
        "3.0 ± 0.0",
        "10.0 ± 0.0",
        "85.0 ± 0.0",
        "2.5 ± 0.0",
        "50.0 ± 0.0",
        "75.0 ± 0.0",
    ]


def test_the_chart_names_the_number_of_regions() -> None:
    record = StudyRecord(settings={"network": {"grid": 5}}, runs=[run("full network", 0, 0.9)])
    assert occlusion_figure(record).axes[0].get_xlabel() == "regions covered, of 25"


def test_a_page_keeps_what_stands_around_its_table(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    write_between(page, "first")
    page.write_text("intro\n" + page.read_text() + "outro\n")
    write_between(page, "second")
    text = page.read_text()
    assert text.startswith("intro\n")
    assert text.endswith("outro\n")
    assert "second" in text
    assert "first" not in text


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = StudyRecord(settings=TINY.settings(), runs=[run("full network", 0, 0.9)])
    record.write(tmp_path / "record.json")
    assert read_record(tmp_path / "record.json", TINY) == record


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "Invalid JSON"),
        (b"[" * 9000, "Invalid JSON"),
        (b"[]", "no record of an ablation study"),
        (b'{"settings": {}, "runs": [{"ablation": "full network", "seed": 0}]}', "runs.0.training_seconds"),
    ],
    ids=["empty", "nested", "another document", "another run"],
)
def test_a_damaged_record_is_named_and_kept(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=problem) as caught:
        read_record(path, TINY)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def tiny_recipe(**options: object) -> Recipe:
    network = {"image_size": 16, "widths": [4, 6], "channels": 4, "local_features": 3, "affinity_features": 3}
    return Recipe("tiny", "", {"batch-size": 7, "epochs": 2, "balance": "loss", "network": network} | options)


def test_a_study_on_a_data_set_trains_by_its_recipe(tmp_path: Path) -> None:
    options = DataSetStudyOptions(data=tmp_path, recipe=tiny_recipe(mixup=0.2), epochs=5)
    training = options.training(3, tmp_path / "run")
    assert (training.data, training.seed, training.epochs) == (str(tmp_path), 3, 5)
    assert (training.batch_size, training.mixup, training.learning_rate) == (7, 0.2, 2e-3)
    assert options.network.widths == (4, 6)
    assert options.settings()["recipe"] == "tiny"
    for recipe, message in (
        (tiny_recipe(folds=3), "a study has no option 'folds'"),
        (tiny_recipe(schedule="linear"), "--schedule must be one of"),
    ):
        with pytest.raises(UsageError, match=message):
            DataSetStudyOptions(data=tmp_path, recipe=recipe)


@pytest.mark.parametrize("name", [name for name in recipe_names() if name != "demo"])
def test_every_recipe_of_a_data_set_can_be_studied(name: str, tmp_path: Path) -> None:
    options = DataSetStudyOptions(data=tmp_path, recipe=read_recipe(name))
    assert options.training(0, tmp_path).epochs == read_recipe(name).values["epochs"]


def test_a_study_on_a_data_set_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split, count in (("train", 28), ("test", 6)):
        for index in range(count):
            expression = ("anger", "happiness")[index % 2]
            path = tmp_path / "tree" / split / expression / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            face = render_face(index + 1000 * (split == "test"), expression, size=24, with_regions=False)
            Image.fromarray(face.image).save(path)
    trained = ("full network", "plain U-Net")
    monkeypatch.setattr(_study, "ABLATIONS", {name: ABLATIONS[name] for name in trained})
    options = DataSetStudyOptions(seeds=(0,), data=tmp_path / "tree", recipe=tiny_recipe())
    path = tmp_path / "record.json"
    record = run_study(options, path)
    assert [(run.ablation, run.seed) for run in record.runs] == [(name, 0) for name in trained]
    for one in record.runs:
        assert [point.covered for point in one.occlusion] == [0, 1, 2, 4]
        assert one.crucial_regions is None
    assert "true regions" not in ablation_table(record)
    replace(record, runs=record.runs[:1]).write(path)
    again = run_study(options, path)
    assert again.runs[1].occlusion == record.runs[1].occlusion


@pytest.mark.slow
def test_a_study_runs_every_ablation_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    record = run_study(TINY, path)
    assert [(run.seed, run.ablation) for run in record.runs] == [
        (seed, name) for seed in (0, 1) for name in ABLATIONS
    ]
    uniform = {
        run.ablation: run.crucial_regions.times_uniform.value
        for run in record.runs[: len(ABLATIONS)]
        if run.crucial_regions
    }
    assert uniform["plain U-Net"] == uniform["no non-local weights"] == pytest.approx(1, abs=1e-3)
    replace(record, runs=record.runs[:-1]).write(path)
    again = run_study(TINY, path)
    assert len(again.runs) == len(record.runs)
    assert again.runs[-1].occlusion == record.runs[-1].occlusion
    replace(record, settings={}).write(path)
    with pytest.raises(UsageError, match="other settings"):
        run_study(TINY, path)
