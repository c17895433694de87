"""Tables of docs/results.md: what was measured here and what others published, best first."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lnlattennet.benchmarks.harness._pages import markdown
from lnlattennet.benchmarks.leaderboard._evaluations import EvaluationRecord, by_recipe
from lnlattennet.benchmarks.leaderboard._published import NOT_READ, PublishedMethod
from lnlattennet.benchmarks.peers._tables import peer_tables

HEAD = ["method", "year", "network", "pretraining", "parameters", "accuracy, %", "source"]
Row = tuple[float, list[str]]
"""Accuracy to sort by, and the cells."""


def leaderboard(
    test_set: str,
    published: Sequence[PublishedMethod],
    evaluations: Sequence[EvaluationRecord],
    peers: Mapping[str, Any] | None,
) -> str:
    """Return the table of one test set as Markdown, best first; this project's rows are bold.

    Args:
        test_set: a key of ``TEST_SETS``.
        published: what others published.
        evaluations: of this project's models, on any test set.
        peers: record of the models of other packages on this test set, if there is one.
    """
    ours = [record for record in evaluations if record.test_set == test_set and record.is_official]
    rows = [*_published(test_set, published), *_evaluated(ours), *_peers(peers)]
    rows.sort(key=lambda row: -row[0])
    return markdown([HEAD, *(cells for _, cells in rows)])


def peer_page(path: Path) -> str:
    """Return the tables of a record of peers as Markdown, under a line that says when and where."""
    record = json.loads(path.read_text())
    title = (
        f"*{path.stem[:10]}, {record['faces']:,} faces, one core of {record['machine']['cpu']}, "
        f"{_load(record)}; every prediction and every time: `{path.as_posix()}`.*"
    )
    return "\n\n".join([title, *map(markdown, peer_tables(record))])


def _load(record: Mapping[str, Any]) -> str:
    """Return how busy the machine was; records of 2026-11-28 have the load average alone."""
    if "load" not in record:
        return f"load average {record['load_average_at_end']:.1f}"
    others = record["load"]["others"]
    return f"other programs took {'an unknown part' if others is None else f'{others:.0%}'} of it"


def _published(test_set: str, methods: Sequence[PublishedMethod]) -> Iterator[Row]:
    for method in methods:
        if test_set not in method.accuracy:
            continue
        source = f"[{method.source.removeprefix('https://')}]({method.source})"
        yield method.accuracy[test_set], [
            method.name, str(method.year or ""), method.network, method.pretraining,
            f"{method.parameters:,}" if method.parameters else "", f"{method.accuracy[test_set]:.2f}",
            f"{source}: {'**not read**' if method.read == NOT_READ else method.read}",
        ]  # fmt: skip


def _evaluated(records: Sequence[EvaluationRecord]) -> Iterator[Row]:
    for recipe, group in by_recipe(records).items():
        model, year = group[0].document["model"], group[0].document["created"][:4]
        yield statistics.mean(record.accuracy for record in group), [
            f"**{recipe}**", year, f"**LNLAttenNet**, this project{_training_data(model)}", "",
            f"{int(model['parameters']):,}" if "parameters" in model else "",
            f"**{_accuracy(group)}**", _measured(group),
        ]  # fmt: skip
    if records:
        name, share = records[0].most_frequent
        yield share, [f"always `{name}`", "", "", "", "", f"{share:.2f}", "counted"]


def _training_data(model: Mapping[str, Any]) -> str:
    return f", trained on {model['trained_on']}" if "trained_on" in model else ""


def _accuracy(group: Sequence[EvaluationRecord]) -> str:
    """Return mean and standard deviation over seeds, or the interval over the faces of a single model."""
    values = [record.accuracy for record in group]
    if len(group) > 1:
        return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"
    return _with_interval(group[0].document["accuracy"])


def _measured(group: Sequence[EvaluationRecord]) -> str:
    first = group[0]
    seeds = f"{len(group)} seeds, " if len(group) > 1 else ""
    left_out = f"; {first.left_out} of classes that it does not know left out" if first.left_out else ""
    return f"measured, {seeds}{first.document['faces']:,} faces{left_out}: `{first.path.as_posix()}`"


def _peers(record: Mapping[str, Any] | None) -> Iterator[Row]:
    for name, row in (record["answers"] if record else {}).items():
        if record and row["model"]["kind"] == "package":
            yield 100 * row["accuracy"]["value"], [
                f"{name} ({row['model']['name'].rpartition(' ')[2]})", "", "as the package ships it", "",
                f"{row['parameters']:,}", _with_interval(row["accuracy"]),
                f"measured, {record['faces']:,} faces: see below",
            ]  # fmt: skip


def _with_interval(figure: Mapping[str, float]) -> str:
    value, low, high = (100 * figure[key] for key in ("value", "low", "high"))
    return f"{value:.2f} [{low:.1f}, {high:.1f}]"
