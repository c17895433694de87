"""Conditions of the verification, as statements a reader can check; what is unknown is left out."""

from __future__ import annotations

from typing import Any

from lnlattennet._charts import LinearAxis, Tick
from lnlattennet.bundle._manifest import RENDERED
from lnlattennet.export.report import _formatting as numbers


def verification_facts(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (what, statement) for everything that the manifest's verification says."""
    found = document["verification"]
    facts = [
        ("compared on", _faces(found)),
        ("calibration", _calibration(found.get("calibration"))),
        ("precision search", _searches(found.get("plans_tried") or {})),
        ("strategy", _strategy(found)),
        ("threads", str(found["threads"]) if found.get("threads") else ""),
        ("whole export", numbers.duration(found["seconds"]) if found.get("seconds") else ""),
        ("peak memory of the exporting process", _megabytes(found.get("peak_memory_mb"))),
    ]
    return [(what, statement) for what, statement in facts if statement]


def calibrated_on_rendered(document: dict[str, Any]) -> bool:
    """Return whether int8 and fp8 scales come from the project's rendered faces, not from photographs."""
    calibration = document["verification"].get("calibration") or {}
    return calibration.get("source") == RENDERED


def accuracy_rows(document: dict[str, Any]) -> dict[str, Any] | None:
    """Return the accuracies with their 95% intervals on one linear scale, the checkpoint's first."""
    labeled = document["verification"].get("labeled")
    if not labeled:
        return None
    found = {"checkpoint in torch": labeled["checkpoint_accuracy"], **labeled["engines"]}
    low = min(interval[1] for interval in found.values())
    high = max(interval[2] for interval in found.values())
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
            for name, (value, start, end) in found.items()
        ],
    }


def _megabytes(value: float | None) -> str:
    return f"{value:,.0f} MB" if value else ""


def _faces(found: dict[str, Any]) -> str:
    if not found.get("faces"):
        return ""
    source = found.get("faces_source") or ""
    kind = "rendered faces" if source == RENDERED else f"faces from {source}" if source else "faces"
    return f"{found['faces']:,} {kind}"


def _calibration(calibration: dict[str, Any] | None) -> str:
    if not calibration:
        return ""
    source = calibration.get("source") or ""
    kind = "rendered faces, not photographs" if source == RENDERED else f"faces from {source}"
    return f"{calibration.get('method', '')} on {calibration.get('faces', 0):,} {kind}".strip()


def _searches(tried: dict[str, int]) -> str:
    return "; ".join(f"{engine} after {count} plans" for engine, count in tried.items())


def _strategy(found: dict[str, Any]) -> str:
    budget = found.get("latency_budget_ms")
    strategy = str(found.get("strategy") or "")
    return f"{strategy}, budget {budget:g} ms" if strategy and budget else strategy
