"""Conditions of the verification, as short statements; unknown values are left out."""

from __future__ import annotations

from typing import Any

from lnlattennet._charts import LinearAxis, Tick
from lnlattennet.bundle._manifest import RENDERED
from lnlattennet.export.report import _formatting as numbers


def verification_facts(document: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return (title, statement) for everything that the manifest's verification says."""
    record = document["verification"]
    calibration, budget = record["calibration"], record["latency_budget_ms"]
    megabytes = record["peak_memory_mb"]
    plans = [f"{engine} after {count} plans" for engine, count in record["plans_tried"].items()]
    facts = [
        ("compared on", record["faces"] and _faces(record["faces"], record["faces_source"])),
        ("calibration", calibration and _calibration(**calibration)),
        ("precision search", "; ".join(plans)),
        ("strategy", record["strategy"] + (f", budget {budget:g} ms" if budget else "")),
        ("threads", record["threads"]),
        ("whole export", record["seconds"] and numbers.duration(record["seconds"])),
        ("peak memory of the exporting process", megabytes and f"{megabytes:,.0f} MB"),
    ]
    return [(title, statement) for title, statement in facts if statement]


def calibrated_on_rendered(document: dict[str, Any]) -> bool:
    """Return whether int8 and fp8 scales come from the project's rendered faces, not from photographs."""
    calibration = document["verification"]["calibration"]
    return bool(calibration) and calibration["source"] == RENDERED


def accuracy_rows(document: dict[str, Any]) -> dict[str, Any] | None:
    """Return the accuracies with their 95% intervals on one linear scale, the checkpoint's first."""
    labeled = document["verification"]["labeled"]
    if not labeled:
        return None
    accuracies = {"checkpoint in torch": labeled["checkpoint_accuracy"], **labeled["engines"]}
    _, lows, highs = zip(*accuracies.values(), strict=True)
    low, high = min(lows), max(highs)
    axis = LinearAxis(low, max(high, low + 1e-6))
    return {
        "name": labeled["name"],
        "faces": labeled["faces"],
        "ends": [Tick(axis.at(end), f"{end:.1%}") for end in (axis.low, axis.high)],
        "rows": [
            {
                "name": name,
                "text": f"{value:.2%}",
                "interval": f"{start:.2%} to {end:.2%}",
                "mark": axis.interval(value, start, end),
            }
            for name, (value, start, end) in accuracies.items()
        ],
    }


def _faces(faces: int, source: str) -> str:
    return f"{faces:,} rendered faces" if source == RENDERED else f"{faces:,} faces from {source}"


def _calibration(faces: int, source: str, method: str) -> str:
    return f"{method} on {_faces(faces, source)}" + (", not photographs" if source == RENDERED else "")
