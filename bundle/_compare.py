"""Comparison of two bundles: what changed, and whether a difference in latency is significant."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._manifest import Check, EngineRecord, Latency, Manifest
from lnlattennet.errors import RegressionError

Outcome = Literal["faster", "slower", "no significant difference", "not comparable"]
Value = TypeVar("Value")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Pair(_Record, Generic[Value]):
    """A value of bundle A and of bundle B."""

    a: Value
    b: Value


class LatencyChange(Pair[Latency]):
    """One batch size in both bundles.

    Attributes:
        change: B's median over A's, minus 1.
        outcome: "no significant difference" if the 95% intervals of the medians overlap, "not comparable"
            if the two were measured with different numbers of threads.
    """

    batch: int
    change: float
    outcome: Outcome


class CheckValue(_Record):
    """Result of a check."""

    value: float
    limit: float | None
    passed: bool


class CheckChange(Pair[CheckValue | None]):
    """A check that both bundles made, or one of them."""

    metric: str
    output: str


class EngineChange(_Record):
    """An engine that is in both bundles.

    Attributes:
        bytes: size of its files.
        plan_changes: block -> precisions, where they differ.
    """

    name: str
    bytes: Pair[int]
    same_file: bool
    plan_changes: dict[str, Pair[str | None]]
    latency: list[LatencyChange]
    checks: list[CheckChange]


class SelectedChange(Pair[str]):
    """The engines that serve in A and in B, whatever they are called."""

    latency: list[LatencyChange]


class BundleComparison(Pair[str]):
    """Two bundles, ``a`` and ``b`` their folders.

    Attributes:
        same: "checkpoint", "class_names", "preprocessing", "network" -> whether both have the same.
        engines: those that are in both.
    """

    same: dict[str, bool]
    selected: SelectedChange
    engines: list[EngineChange]
    only_in_a: list[str]
    only_in_b: list[str]


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


def compare_bundles(a: Bundle, b: Bundle) -> BundleComparison:
    """Return the differences between two bundles."""
    first, second = a.manifest, b.manifest
    names = [engine.name for engine in first.engines]
    others = [engine.name for engine in second.engines]
    selected = latency_changes(first.engine(first.selected), second.engine(second.selected))
    return BundleComparison(
        a=str(a.path),
        b=str(b.path),
        same={
            "checkpoint": first.checkpoint_sha256 == second.checkpoint_sha256,
            "class_names": first.class_names == second.class_names,
            "preprocessing": first.preprocessing == second.preprocessing,
            "network": first.network == second.network,
        },
        selected=SelectedChange(a=first.selected, b=second.selected, latency=selected),
        engines=[_engine(first, second, name) for name in names if name in others],
        only_in_a=[name for name in names if name not in others],
        only_in_b=[name for name in others if name not in names],
    )


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


def _engine(first: Manifest, second: Manifest, name: str) -> EngineChange:
    a, b = first.engine(name), second.engine(name)
    return EngineChange(
        name=name,
        bytes=Pair(a=first.engine_bytes(a), b=second.engine_bytes(b)),
        same_file=first.files[a.file].sha256 == second.files[b.file].sha256,
        plan_changes={
            block: Pair(a=a.plan.get(block), b=b.plan.get(block))
            for block in dict.fromkeys([*a.plan, *b.plan])
            if a.plan.get(block) != b.plan.get(block)
        },
        latency=latency_changes(a, b),
        checks=_check_changes(a.checks, b.checks),
    )


def _check_changes(a: list[Check], b: list[Check]) -> list[CheckChange]:
    first, second = ({(check.metric, check.output): _value(check) for check in checks} for checks in (a, b))
    return [
        CheckChange(metric=key[0], output=key[1], a=first.get(key), b=second.get(key))
        for key in dict.fromkeys([*first, *second])
    ]


def _value(check: Check) -> CheckValue:
    return CheckValue(value=check.value, limit=check.limit, passed=check.passed)
