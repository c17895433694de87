"""Cards of the checkpoints: what a checkpoint file states of itself, and its committed evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lnlattennet.benchmarks.harness._pages import markdown
from lnlattennet.benchmarks.leaderboard._evaluations import EvaluationRecord
from lnlattennet.benchmarks.leaderboard._published import TEST_SETS
from lnlattennet.benchmarks.peers._tables import milliseconds
from lnlattennet.bundle._bundle import hash_file
from lnlattennet.data._records import SPLITS
from lnlattennet.model._provenance import SYNTHETIC
from lnlattennet.model._summary import describe

_MOSTLY_MISSED = 0.5
"""Recall below which the card names a class."""
_TITLES = TEST_SETS | {SYNTHETIC: "rendered faces"}
_SETTINGS = ("targets", "augmentation", "mixup", "cutmix", "balance", "epochs", "precision")

Rows = list[list[str]]


def card(checkpoint: Path, evaluations: Sequence[EvaluationRecord]) -> str:
    """Return the card of a checkpoint as Markdown.

    Args:
        checkpoint: the file.
        evaluations: of any models; those of this very file are shown.
    """
    summary, records = describe(checkpoint), _of(checkpoint, evaluations)
    limits = "\n".join(_limits(summary["provenance"], records))
    facts = markdown(_facts(checkpoint, summary))
    return "\n\n".join([facts, *_figures(records), "What it cannot do:", limits])


def index(
    checkpoints: Sequence[Path], evaluations: Sequence[EvaluationRecord], peers: Mapping[str, Any] | None
) -> str:
    """Return the table of all checkpoints as Markdown, with the times of a record of peers, if any."""
    times = _times(peers) if peers else {}
    rows = [["checkpoint", "classes", "parameters", "MB", "MFLOP", "ms per face", "accuracy, %"]]
    for path in checkpoints:
        summary, time = describe(path), times.get(hash_file(path).sha256)
        figures = (f"{record.accuracy:.1f} ({_title(record)})" for record in _of(path, evaluations))
        rows.append([
            f"[{path.stem}]({path.stem}.md)", str(len(summary["class_names"])),
            f"{summary['parameters']:,}", f"{path.stat().st_size / 1e6:.1f}",
            f"{summary['flops'] / 1e6:,.0f}", "" if time is None else f"{time:.1f}", ", ".join(figures),
        ])  # fmt: skip
    return markdown(rows)


def new_page(checkpoint: Path) -> str:
    """Return the page of a checkpoint that has none yet; people may write more around the card."""
    name = checkpoint.stem
    return f"# {name}\n\n<!-- results: card {name} -->\n<!-- /results -->\n"


def _times(peers: Mapping[str, Any]) -> dict[str, float]:
    """Return a checkpoint's hash -> median milliseconds of one face."""
    models = {name: row["model"] for name, row in peers["answers"].items()}
    return {
        models[name]["checkpoint_sha256"]: time
        for name, time in milliseconds(peers).items()
        if "checkpoint_sha256" in models[name]
    }


def _of(checkpoint: Path, evaluations: Sequence[EvaluationRecord]) -> list[EvaluationRecord]:
    sha256 = hash_file(checkpoint).sha256
    return [record for record in evaluations if record.sha256 == sha256]


def _facts(checkpoint: Path, summary: Mapping[str, Any]) -> Rows:
    config, provenance = summary["config"], summary["provenance"]
    settings, is_synthetic = provenance.get("settings", {}), provenance.get("data") == SYNTHETIC
    size, grid = config["image_size"], config["grid"]
    counts = settings.get("images", {}) if is_synthetic else provenance.get("counts", {})
    faces = ", ".join(f"{_total(counts[split]):,} {split}" for split in SPLITS if split in counts)
    options = {name: settings[name] for name in _SETTINGS if settings.get(name) not in (None, 0, "none")}
    crop = ", ".join(
        f"{name.removeprefix('face_').replace('_', ' ')} {value}"
        for name, value in summary["preprocessing"].items()
        if name.startswith("face_") and value != ""
    )
    versions = [f"{name} {provenance[name]}" for name in ("lnlattennet", "torch") if name in provenance]
    minutes = (
        f"{provenance.get('training_seconds', 0) / 60:,.0f} min on {provenance.get('machine', 'unknown')}"
    )
    return [
        ["", ""],
        ["file", f"`{checkpoint.name}`, {checkpoint.stat().st_size / 1e6:.1f} MB"],
        ["network", f"{summary['parameters']:,} parameters, {summary['flops'] / 1e6:,.0f} MFLOP an image, "
                    f"{size}x{size} pixels, {grid}x{grid} regions"],
        ["classes", ", ".join(summary["class_names"])],
        ["face crop", crop],
        ["faces", f"{provenance.get('format') or provenance.get('data', 'unknown')}: {faces}"],
        ["training", ", ".join(f"{name} {value}" for name, value in options.items())],
        ["made by", f"{', '.join(versions)}, seed {settings.get('seed', 'unknown')}; {minutes}"],
        ["license", summary["licence"]],
    ]  # fmt: skip


def _total(count: Any) -> int:
    return sum(count.values()) if isinstance(count, Mapping) else int(count)


def _figures(records: Sequence[EvaluationRecord]) -> Iterator[str]:
    if not records:
        return
    rows = [["evaluated on", "faces", "accuracy, %", "macro recall, %", "macro F1, %",
             "calibration error at temperature 1", "at its own"]]  # fmt: skip
    for record in records:
        document = record.document
        after = document["calibration"].get("after")
        rows.append([
            _title(record), f"{document['faces']:,}", _interval(document["accuracy"]),
            f"{record.macro_recall:.1f}", _interval(document["macro_f1"]),
            f"{document['calibration']['before']['ece']:.3f}",
            f"{after['ece']:.3f} at {after['temperature']:g}" if after else "",
        ])  # fmt: skip
    yield markdown(rows)
    names = list(dict.fromkeys(name for record in records for name in record.document["class_names"]))
    recalls = [["recall, % (faces)", *names]]
    for record in records:
        classes = {row["name"]: row for row in record.document["classes"]}
        recalls.append([_title(record), *(_recall(classes.get(name)) for name in names)])
    yield markdown(recalls)
    yield f"Records: {', '.join(f'`{record.path.as_posix()}`' for record in records)}."


def _limits(provenance: Mapping[str, Any], records: Sequence[EvaluationRecord]) -> Iterator[str]:
    if provenance.get("data") == SYNTHETIC:
        yield "- It has seen rendered faces only: its answers on photographs are a demonstration."
    for record in records:
        weak = [
            f"{row['name']} ({100 * row['recall']['value']:.0f}%)"
            for row in record.document["classes"]
            if row["recall"]["value"] is not None and row["recall"]["value"] < _MOSTLY_MISSED
        ]
        if weak:
            yield f"- On {_title(record)} it misses most faces of {', '.join(weak)}."
        if record.left_out:
            yield f"- On {_title(record)} {record.left_out} faces are of classes that it does not know."
    yield "- It predicts the expression that a face displays, never what a person feels."
    yield "- Other people, ages, light and cameras than its data's: not measured, unless a table has them."


def _title(record: EvaluationRecord) -> str:
    return f"{_TITLES.get(record.test_set, record.test_set)} {record.document['data']['split']}"


def _interval(figure: Mapping[str, float]) -> str:
    value, low, high = (100 * figure[key] for key in ("value", "low", "high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def _recall(row: Mapping[str, Any] | None) -> str:
    if row is None or row["recall"]["value"] is None:
        return ""
    return f"{100 * row['recall']['value']:.0f} ({row['faces']:,})"
