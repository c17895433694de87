"""docs/results.md and the checkpoints' cards: they say what the committed records say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lnlattennet.benchmarks.harness._pages import pages
from lnlattennet.benchmarks.leaderboard import __main__ as program
from lnlattennet.benchmarks.leaderboard._cards import card
from lnlattennet.benchmarks.leaderboard._evaluations import EvaluationRecord, read_evaluations
from lnlattennet.benchmarks.leaderboard._published import TEST_SETS, PublishedMethod, read_published
from lnlattennet.benchmarks.leaderboard._tables import leaderboard
from lnlattennet.bundle._bundle import hash_file
from lnlattennet.errors import UsageError

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_committed_pages_are_what_the_records_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """If not: `make results`."""
    monkeypatch.chdir(ROOT)
    texts = {page: page.read_text() for page in pages([program.PAGE, program.CHECKPOINTS])}
    assert {page: program.Blocks().fill(text) for page, text in texts.items()} == texts
    cards = {path.with_suffix(".md") for path in program.CHECKPOINTS.glob("*.safetensors")}
    assert cards <= texts.keys()


def test_committed_records_name_no_folder_of_a_machine() -> None:
    results = ROOT / "benchmarks" / "results"
    for path in [*results.glob("*-peers-*.json"), *(results / "evaluations").glob("*.json")]:
        # A string that begins with a slash and a folder.
        assert not re.findall(r'"/\w+/[^"]*"', path.read_text()), path


def test_published_figures_have_sources() -> None:
    methods = read_published(ROOT / "benchmarks" / "results" / "published.toml")
    assert {name for method in methods for name in method.accuracy} == set(TEST_SETS)
    assert len({method.name for method in methods}) == len(methods)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accuracy": {"imagenet": 50}}, "accuracy must be of ferplus"),
        ({"accuracy": {"ferplus": 0.85}}, "must be in percent"),
        ({"source": "a friend"}, "source must be an address"),
        ({"accurate": {}}, "must have the fields"),
    ],
)
def test_a_published_entry_that_breaks_a_rule_is_named(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    fields = {"name": "A", "network": "N", "source": "https://x.org", "read": "README"}
    entry = fields | {"accuracy": {"ferplus": 85.0}} | change
    lines = (
        f"{key} = {{ {', '.join(f'{name} = {number}' for name, number in value.items())} }}"
        if isinstance(value, dict)
        else f"{key} = {json.dumps(value)}"
        for key, value in entry.items()
    )
    (tmp_path / "published.toml").write_text("[[method]]\n" + "\n".join(lines))
    with pytest.raises(UsageError, match=message):
        read_published(tmp_path / "published.toml")


def data(data_format: str, split: str, classes: str = "ab") -> dict[str, Any]:
    counts = dict(zip(classes, (9, 3, *[0] * len(classes)), strict=False))
    return {"format": data_format, "split": split, "faces": 12, "faces_per_class": counts}


def evaluation(name: str, accuracy: float, sha256: str = "0", **changes: Any) -> dict[str, Any]:
    figure = {"value": accuracy, "low": accuracy - 0.01, "high": accuracy + 0.01}
    calibration = {"before": {"temperature": 1.0, "ece": 0.2}, "after": {"temperature": 1.5, "ece": 0.1}}
    return {
        "created": "2030-01-01T00:00:00+00:00",
        "model": {
            "name": f"{name}.safetensors",
            "checkpoint_sha256": sha256,
            "parameters": "1234567",
            "trained_on": "synthetic",
        },
        "data": data("ferplus", "test"),
        "covered_regions": 0,
        "faces": 10,
        "accuracy": figure,
        "macro_f1": figure,
        "calibration": calibration,
        "class_names": ["a", "b"],
        "classes": [
            {"name": "a", "faces": 7, "recall": figure},
            {"name": "b", "faces": 3, "recall": {"value": 0.25, "low": 0.1, "high": 0.4}},
        ],
        **changes,
    }


def records(tmp_path: Path, *documents: dict[str, Any]) -> list[EvaluationRecord]:
    for index, document in enumerate(documents):
        (tmp_path / f"{index}.json").write_text(json.dumps(document))
    return read_evaluations(tmp_path)


def test_rows_are_sorted_and_seeds_share_one(tmp_path: Path) -> None:
    own = records(
        tmp_path,
        evaluation("base-seed0", 0.80),
        evaluation("base-seed1", 0.82),
        evaluation("large", 0.90),
        evaluation("covered", 0.99, covered_regions=4),
        evaluation("validation", 0.99, data=data("ferplus", "val")),
    )
    other = PublishedMethod(
        name="Other", network="N", source="https://x.org", read="abstract", accuracy={"ferplus": 85.0}
    )
    head, _, *rows = leaderboard("ferplus", [other], own, None).splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[0] for row in cells] == ["**large**", "Other", "**base**", "always `a`"]
    assert cells[0][2:4] == ["**LNLAttenNet**, this project, trained on synthetic", ""]
    assert cells[0][4:6] == ["1,234,567", "**90.00 [89.0, 91.0]**"]
    assert cells[2][5] == "**81.00 ± 1.41**"
    assert "2 seeds, 10 faces; 2 of classes that it does not know left out" in cells[2][6]
    assert cells[3][5] == "75.00"
    assert head.count("|") == rows[0].count("|")
    assert "**" not in leaderboard("rafdb", [], own, None)


@pytest.mark.parametrize(
    ("found", "expected", "official"),
    [
        (data("fer2013-folders", "test"), "fer2013", True),
        (data("rafdb-digits0", "val"), "rafdb", False),
        (data("affectnet-csv", "val", "abcdefg"), "affectnet-7", True),
        (data("affectnet-npy", "test", "abcdefgh"), "affectnet-8", False),
        (data("oulu-casia", "test"), "oulu-casia", True),
    ],
)
def test_layouts_of_a_data_set_are_one(
    tmp_path: Path, found: dict[str, Any], expected: str, official: bool
) -> None:
    [record] = records(tmp_path, evaluation("any", 0.5, data=found))
    assert (record.test_set, record.is_official) == (expected, official)


def test_a_card_tells_figures_license_and_limits(tmp_path: Path, demo_checkpoint: Path) -> None:
    sha256 = hash_file(demo_checkpoint).sha256
    own = records(tmp_path, evaluation("demo", 0.9, sha256), evaluation("another", 0.123))
    text = card(demo_checkpoint, own)
    assert "551,254 parameters" in text
    assert (
        "| FERPlus test | 10 | 90.0 [89.0, 91.0] | 57.5 | 90.0 [89.0, 91.0] | 0.200 | 0.100 at 1.5 |" in text
    )
    assert "it misses most faces of b (25%)" in text
    assert "12.3" not in text
    assert "Trained on faces rendered by this project" in text


@pytest.mark.parametrize("name", ["leaderboard imagenet", "peers nothing", "card nothing", "anything"])
def test_an_unknown_marker_is_refused(tmp_path: Path, name: str) -> None:
    blocks = program.Blocks(tmp_path, tmp_path)
    with pytest.raises(UsageError, match=f"the marker 'results: {name}' must be"):
        blocks.fill(f"<!-- results: {name} -->\n<!-- /results -->")


def test_a_checkpoint_without_a_page_gets_one(
    tmp_path: Path, demo_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("docs", "checkpoints", "benchmarks/results/evaluations"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "docs" / "results.md").write_text("text\n")
    (tmp_path / "checkpoints" / "mine.safetensors").write_bytes(demo_checkpoint.read_bytes())
    assert program.run([]) == 0
    text = (tmp_path / "checkpoints" / "mine.md").read_text()
    assert text.startswith("# mine\n")
    assert "`mine.safetensors`, 2.2 MB" in text
    assert program.Blocks().fill(text) == text
