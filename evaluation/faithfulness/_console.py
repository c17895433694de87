"""Table of the figures of every reading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lnlattennet._console import Table


def readings_table(document: Mapping[str, Any]) -> Table:
    """Return accuracy lost, areas under the curves and rank correlation of every reading of a record."""
    data, accuracy = document["data"], document["accuracy"]
    table = Table(
        title=f"{document['checkpoint']} on {data['name']}, {data['split']}, {data['faces']} faces: "
        f"accuracy {accuracy['value']:.1%}"
    )
    quarter = f"{document['covered']} of {document['regions']}"
    table.add_column("reading")
    for heading in (
        f"lost, {quarter} highest covered",
        f"lost, {quarter} lowest covered",
        "highest over random",
        "the same, blurred",
        "deletion, less is better",
        "insertion, more is better",
        "rank correlation",
    ):
        table.add_column(heading, justify="right")
    for reading in document["readings"]:
        mean, blur = reading["covered"]["mean"], reading["covered"]["blur"]
        table.add_row(
            reading["name"],
            *(f"{100 * mean[name]['value']:.1f} points" for name in ("highest", "lowest")),
            *(_ratio(fill["times_random"]) for fill in (mean, blur)),
            *(f"{reading[name]['value']:.3f}" for name in ("deletion", "insertion", "rank_correlation")),
        )
    return table


def _ratio(estimate: Mapping[str, float] | None) -> str:
    return "-" if estimate is None else "{value:.2f} [{low:.2f}, {high:.2f}]".format(**estimate)
