"""The figures as a CSV file: a row for every person, and one for every column of the person's charts."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

from lnlattennet.streams._rows import Columns
from lnlattennet.streams.timeline._person import PersonFigures
from lnlattennet.streams.timeline._study import Study

Value = str | int | float | None


def write_csv(study: Study, path: Path) -> None:
    """Write the figures of a study; times are in seconds, of images in numbers of faces.

    A row with the part "all" is about all the time of a person; the other rows, "column", are about one
    column of time each, and have no figures of dwells, transitions and agreement. What is not known is empty.
    """
    header = _header(study.columns)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, header)
        writer.writeheader()
        for figures in study.persons:
            for row in _rows(figures, study.columns):
                writer.writerow({name: _text(value) for name, value in row.items()})


def _header(columns: Columns) -> list[str]:
    names = columns.class_names
    return [
        *("source", "person", "part", "start", "end", "seen"),
        *(f"{kind}_{name}" for kind in _KINDS for name in names),
        *("intensity", "uncertainty"),
        *(f"region_weight_{index}" for index in range(columns.regions)),
        *("frames", "gaps", "gap_seconds", "doubtful", "neighbors_agree", "smoothing_agrees", "labels"),
        *(f"{kind}_{name}" for name in names for kind in _DWELLS),
        *(f"changes_{name}_to_{other}" for name in names for other in names if name != other),
    ]


_DWELLS = ("dwells", "dwells_cut", "dwell_median", "dwell_longest")
_KINDS = ("share", "smoothed_share", "probability", "smoothed_probability")


def _rows(figures: PersonFigures, columns: Columns) -> Iterator[dict[str, Value]]:
    whole: dict[str, Value] = {"source": figures.person.source, "person": figures.person.name}
    yield (
        whole
        | {"part": "all", "start": figures.first, "end": figures.last}
        | _means(figures, columns, figures.totals.tolist())
        | _agreement(figures)
        | _dwells(figures, columns)
    )
    edges = figures.bins.edges.tolist()
    for start, end, sums in zip(edges, edges[1:], figures.bins.sums.tolist(), strict=False):
        yield whole | {"part": "column", "start": start, "end": end} | _means(figures, columns, sums)


def _means(figures: PersonFigures, columns: Columns, sums: list[float]) -> dict[str, Value]:
    at, names = figures.values, columns.class_names
    seen, smoothed_seen = sums[at.seen], sums[at.smoothed_seen]
    row: dict[str, Value] = {"seen": seen}
    parts = (at.labels, at.smoothed_labels, at.probabilities, at.smoothed)
    for kind, part in zip(_KINDS, parts, strict=True):
        weight = smoothed_seen if "smoothed" in kind else seen
        if weight > 0:
            row |= {f"{kind}_{name}": value / weight for name, value in zip(names, sums[part], strict=True)}
    if seen > 0:
        if at.neutral is not None:
            row["intensity"] = 1 - sums[at.probabilities][at.neutral] / seen
        row["uncertainty"] = sums[at.uncertainty] / seen
        row |= {f"region_weight_{index}": value / seen for index, value in enumerate(sums[at.weights])}
    return row


def _agreement(figures: PersonFigures) -> dict[str, Value]:
    row: dict[str, Value] = {"frames": figures.frames, "doubtful": figures.doubtful}
    if not figures.person.images:
        row |= {
            "gaps": figures.gap_count,
            "gap_seconds": figures.gap_seconds,
            "neighbors_agree": figures.neighbors_agree,
            "smoothing_agrees": figures.smoothing_agrees,
        }
    return row


def _dwells(figures: PersonFigures, columns: Columns) -> dict[str, Value]:
    """Images have no order in time, so they have none."""
    if figures.person.images:
        return {}
    sequence, names = figures.labels, columns.class_names
    row: dict[str, Value] = {"labels": "smoothed" if figures.tracked else "raw"}
    for label, name in enumerate(names):
        row[f"dwells_{name}"] = sequence.dwells(label)
        row[f"dwells_cut_{name}"] = int(sequence.cut[label])
        if longest := sequence.longest[label]:
            row[f"dwell_median_{name}"] = sequence.quantile(label, 0.5)
            row[f"dwell_longest_{name}"] = longest.duration
        for other, other_name in enumerate(names):
            if other != label:
                row[f"changes_{name}_to_{other_name}"] = int(sequence.transitions[label, other])
    return row


def _text(value: Value) -> Value:
    if isinstance(value, float):
        return f"{value:.7g}" if math.isfinite(value) else None
    return value
