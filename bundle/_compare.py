"""Two bundles side by side: what changed, and whether a difference in latency means anything."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._manifest import Check, EngineRecord, Latency, Manifest
from lnlattennet.errors import RegressionError

Outcome = Literal["faster", "slower", "no significant difference", "not comparable"]


@dataclass(frozen=True)
class LatencyChange:
    """One batch size in both bundles.

    Attributes:
        change: B's median over A's, minus 1.
        outcome: "no significant difference" if the 95% intervals of the medians overlap, "not comparable"
            if the two were measured with different numbers of threads.
    """

    batch: int
    a: Latency
    b: Latency
    change: float
    outcome: Outcome

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return asdict(self) | {"a": self.a.model_dump(), "b": self.b.model_dump()}


def latency_changes(a: EngineRecord, b: EngineRecord) -> list[LatencyChange]:
    """Compare two engines at every batch size that both were timed at."""
    there = {latency.batch: latency for latency in b.latency}
    return [
        LatencyChange(
            one.batch,
            one,
            there[one.batch],
            there[one.batch].median_ms / one.median_ms - 1,
            _outcome(one, there[one.batch]),
        )
        for one in a.latency
        if one.batch in there
    ]


def compare_bundles(a: Bundle, b: Bundle) -> dict[str, Any]:
    """Return the differences between two bundles as one JSON document.

    ``engines`` has those that are in both; ``selected`` compares the one that serves in A with the one that
    serves in B, whatever they are called.
    """
    first, second = a.manifest, b.manifest
    names = [engine.name for engine in first.engines]
    others = [engine.name for engine in second.engines]
    selected = latency_changes(first.engine(first.selected), second.engine(second.selected))
    return {
        "a": str(a.path),
        "b": str(b.path),
        "same": {
            "checkpoint": first.checkpoint_sha256 == second.checkpoint_sha256,
            "class_names": first.class_names == second.class_names,
            "preprocessing": first.preprocessing == second.preprocessing,
            "network": first.network == second.network,
        },
        "selected": {
            "a": first.selected,
            "b": second.selected,
            "latency": [change.to_json() for change in selected],
        },
        "engines": [_engine(first, second, name) for name in names if name in others],
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
    worse = [one for one in comparable if one.outcome == "slower" and one.change > percent / 100]
    if worse:
        raise RegressionError(
            f"{b.selected} is slower than {a.selected} by more than {percent:g}%: "
            + ", ".join(
                f"batch {one.batch} {one.a.median_ms:.3f} -> {one.b.median_ms:.3f} ms ({one.change:+.1%})"
                for one in worse
            )
        )


def _outcome(a: Latency, b: Latency) -> Outcome:
    if a.threads != b.threads:
        return "not comparable"
    if a.low_ms <= b.high_ms and b.low_ms <= a.high_ms:
        return "no significant difference"
    return "slower" if b.median_ms > a.median_ms else "faster"


def _engine(first: Manifest, second: Manifest, name: str) -> dict[str, Any]:
    a, b = first.engine(name), second.engine(name)
    return {
        "name": name,
        "bytes": {"a": first.engine_bytes(a), "b": second.engine_bytes(b)},
        "same_file": first.files[a.file].sha256 == second.files[b.file].sha256,
        "plan_changes": _plan_changes(a, b),
        "latency": [change.to_json() for change in latency_changes(a, b)],
        "checks": _check_changes(a.checks, b.checks),
    }


def _plan_changes(a: EngineRecord, b: EngineRecord) -> dict[str, dict[str, str | None]]:
    blocks = [*a.plan, *(block for block in b.plan if block not in a.plan)]
    return {
        block: {"a": a.plan.get(block), "b": b.plan.get(block)}
        for block in blocks
        if a.plan.get(block) != b.plan.get(block)
    }


def _check_changes(a: list[Check], b: list[Check]) -> list[dict[str, Any]]:
    """Return every comparison that both or one of them made, by metric and output."""
    here = {(check.metric, check.output): check for check in a}
    there = {(check.metric, check.output): check for check in b}
    return [
        {"metric": key[0], "output": key[1], "a": _check(here.get(key)), "b": _check(there.get(key))}
        for key in dict.fromkeys([*here, *there])
    ]


def _check(check: Check | None) -> dict[str, Any] | None:
    return {"value": check.value, "limit": check.limit, "passed": check.passed} if check else None
