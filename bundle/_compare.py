"""Comparison of two bundles: what changed, and whether a difference in latency is significant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._manifest import EngineRecord, Latency, Manifest
from lnlattennet.errors import RegressionError

Outcome = Literal["faster", "slower", "no significant difference", "not comparable"]


class LatencyChange(BaseModel):
    """Latencies of two engines at one batch size.

    Attributes:
        change: B's median over A's, minus 1.
        outcome: "no significant difference" if the 95% intervals of the medians overlap, "not comparable"
            if the two were measured with different numbers of threads.
    """

    model_config = ConfigDict(frozen=True)

    a: Latency
    b: Latency
    batch: int
    change: float
    outcome: Outcome


def latency_changes(a: EngineRecord, b: EngineRecord) -> list[LatencyChange]:
    """Compare two engines at every batch size that both were timed at."""
    by_batch = {latency.batch: latency for latency in b.latency}
    return [
        LatencyChange(
            batch=before.batch,
            a=before,
            b=after,
            change=after.median_ms / before.median_ms - 1,
            outcome=_outcome(before, after),
        )
        for before in a.latency
        if (after := by_batch.get(before.batch))
    ]


def compare_bundles(a: Bundle, b: Bundle) -> dict[str, Any]:
    """Return the differences between two bundles, as the JSON document of `compare`.

    A pair {"a": ..., "b": ...} holds a value of each bundle.
    """
    first, second = a.manifest, b.manifest
    names = [engine.name for engine in first.engines]
    others = [engine.name for engine in second.engines]
    latency = _latency_documents(first.engine(first.selected), second.engine(second.selected))
    same = ("class_names", "preprocessing", "network")
    return {
        "a": str(a.path),
        "b": str(b.path),
        "same": {
            "checkpoint": first.checkpoint_sha256 == second.checkpoint_sha256,
            **{name: getattr(first, name) == getattr(second, name) for name in same},
        },
        "selected": {"a": first.selected, "b": second.selected, "latency": latency},
        "engines": [_engine_changes(first, second, name) for name in names if name in others],
        "only_in_a": [name for name in names if name not in others],
        "only_in_b": [name for name in others if name not in names],
    }


def require_no_regression(a: Manifest, b: Manifest, percent: float) -> None:
    """Refuse B if its selected engine is slower than A's by more than ``percent``, and significantly so.

    Raises:
        RegressionError: it is, at one batch size or more; or no batch size can be compared.
    """
    changes = latency_changes(a.engine(a.selected), b.engine(b.selected))
    comparable = [change for change in changes if change.outcome != "not comparable"]
    if not comparable:
        raise RegressionError(
            f"{a.selected} and {b.selected} were timed at no batch size in common with the same number of "
            "threads, so a regression cannot be ruled out: export both with the same --batch here"
        )
    worse = [item for item in comparable if item.outcome == "slower" and item.change > percent / 100]
    if worse:
        raise RegressionError(
            f"{b.selected} is slower than {a.selected} by more than {percent:g}%: "
            + ", ".join(
                f"batch {item.batch} {item.a.median_ms:.3f} -> {item.b.median_ms:.3f} ms ({item.change:+.1%})"
                for item in worse
            )
        )


def _outcome(a: Latency, b: Latency) -> Outcome:
    if a.threads != b.threads:
        return "not comparable"
    if a.low_ms <= b.high_ms and b.low_ms <= a.high_ms:
        return "no significant difference"
    return "slower" if b.median_ms > a.median_ms else "faster"


def _engine_changes(first: Manifest, second: Manifest, name: str) -> dict[str, Any]:
    a, b = first.engine(name), second.engine(name)
    plans, checks = _pairs(a.plan, b.plan), _pairs(_checks(a), _checks(b))
    return {
        "name": name,
        "bytes": {"a": first.engine_bytes(a), "b": second.engine_bytes(b)},
        "same_file": first.files[a.file].sha256 == second.files[b.file].sha256,
        "plan_changes": {block: pair for block, pair in plans.items() if pair["a"] != pair["b"]},
        "latency": _latency_documents(a, b),
        "checks": [pair | {"metric": key[0], "output": key[1]} for key, pair in checks.items()],
    }


def _latency_documents(a: EngineRecord, b: EngineRecord) -> list[dict[str, Any]]:
    return [change.model_dump() for change in latency_changes(a, b)]


def _checks(engine: EngineRecord) -> dict[tuple[str, str], dict[str, Any]]:
    kept = {"value", "limit", "passed"}
    return {(check.metric, check.output): check.model_dump(include=kept) for check in engine.checks}


def _pairs(a: Mapping[Any, Any], b: Mapping[Any, Any]) -> dict[Any, dict[str, Any]]:
    return {key: {"a": a.get(key), "b": b.get(key)} for key in dict.fromkeys([*a, *b])}
