"""Description of a bundle, for `lnlattennet info BUNDLE`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._manifest import Check, EngineRecord


def describe_bundle(bundle: Bundle) -> dict[str, Any]:
    """Return the manifest without its hashes, with the sizes of the bundle and of every engine in bytes."""
    document = bundle.manifest.report()
    for engine, record in zip(document["engines"], bundle.manifest.engines, strict=True):
        engine["bytes"] = bundle.manifest.engine_bytes(record)
    sizes = [record.size for record in bundle.manifest.files.values()]
    return {"bundle": str(bundle.path), "files": len(sizes), "bytes": sum(sizes), **document}


def plan_text(plan: Mapping[str, str]) -> str:
    """Return a precision plan as its most frequent precision and the exceptions to it."""
    if not plan:
        return "-"
    usual = Counter(plan.values()).most_common(1)[0][0]
    others: dict[str, list[str]] = {}
    for block, precision in plan.items():
        if precision != usual:
            others.setdefault(precision, []).append(block)
    return "; ".join([usual, *(f"{precision}: {', '.join(names)}" for precision, names in others.items())])


def checks_text(checks: list[Check]) -> str:
    """Return how many checks passed, and the share of equal answers where it was counted."""
    if not checks:
        return "-"
    passed = f"{sum(check.passed for check in checks)} of {len(checks)} passed"
    agreement = next((check.value for check in checks if check.metric == "top1_agreement"), None)
    return passed if agreement is None else f"{passed}\ntop-1 agreement {agreement:.2%}"


def requirements_text(engine: EngineRecord) -> str:
    """Return an engine's requirements in one line."""
    needs = engine.requires
    parts = [needs.device, *(f"{name} {specifier}".strip() for name, specifier in needs.packages.items())]
    if needs.platform:
        parts.append(needs.platform)
    if needs.cpu_features:
        parts.append(f"CPU with {' '.join(needs.cpu_features)}")
    if needs.compute_capabilities:
        parts.append(f"compute capability {' or '.join(needs.compute_capabilities)}")
    if needs.driver:
        parts.append(f"driver >= {needs.driver}")
    return ", ".join(parts)
