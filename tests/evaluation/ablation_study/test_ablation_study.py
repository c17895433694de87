"""A very small study end to end, its resuming, and its table against figures worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lnlattennet.errors import UsageError
from lnlattennet.evaluation.ablation_study.__main__ import write_between
from lnlattennet.evaluation.ablation_study._options import StudyOptions
from lnlattennet.evaluation.ablation_study._study import run_study
from lnlattennet.evaluation.ablation_study._tables import ablation_table
from lnlattennet.model._config import NetworkConfig
from lnlattennet.training._ablations import ABLATIONS

TINY = StudyOptions(
    seeds=(0, 1),
    train_images=28,
    test_images=14,
    epochs=2,
    batch_size=14,
    network=NetworkConfig(image_size=16, widths=(4, 6), channels=4, local_features=3, affinity_features=3),
)


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value, "high": value}


def run(name: str, seed: int, accuracy: float) -> dict[str, Any]:
    curve = [
        {"covered": covered, "accuracy": interval(accuracy - lost), "loss": interval(lost)}
        for covered, lost in ((0, 0.0), (1, 0.01), (2, 0.03), (4, 0.1))
    ]
    regions = {
        "share_of_weight": interval(0.85),
        "times_uniform": interval(2.5),
        "top_1_hit_rate": interval(0.5),
        "top_3_hit_rate": interval(0.75),
    }
    return {"ablation": name, "seed": seed, "occlusion": curve, "crucial_regions": regions}


def test_the_table_gives_mean_and_standard_deviation_over_the_seeds() -> None:
    record = {
        "runs": [run("full network", 0, 0.90), run("full network", 1, 0.94), run("plain U-Net", 0, 0.8)]
    }
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


@pytest.mark.slow
def test_a_study_runs_every_ablation_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    record = run_study(TINY, path)
    assert [(one["seed"], one["ablation"]) for one in record["runs"]] == [
        (seed, name) for seed in (0, 1) for name in ABLATIONS
    ]
    uniform = {
        one["ablation"]: one["crucial_regions"]["times_uniform"]["value"]
        for one in record["runs"][: len(ABLATIONS)]
    }
    assert uniform["plain U-Net"] == uniform["no non-local weights"] == pytest.approx(1, abs=1e-3)
    stopped = record | {"runs": record["runs"][:-1]}
    path.write_text(json.dumps(stopped))
    again = run_study(TINY, path)
    last, repeated = record["runs"][-1], again["runs"][-1]
    assert len(again["runs"]) == len(record["runs"])
    assert repeated["occlusion"] == last["occlusion"]
    path.write_text(json.dumps(record | {"settings": {}}))
    with pytest.raises(UsageError, match="other settings"):
        run_study(TINY, path)
