"""Why an engine did not pass, in words."""

from __future__ import annotations

from collections.abc import Iterable

from lnlattennet.bundle._manifest import Check

_WORDS = {
    "missing": "is missing",
    "dtype": "is not float32",
    "shape": "has another shape than the checkpoint's",
    "finite": "holds numbers that are not finite",
    "max_abs": "is {value} from the checkpoint's, {limit} allowed",
    "cosine": "has cosine {value} with the checkpoint's, {limit} needed",
    "kl": "has a mean KL divergence of {value} nats from the checkpoint's, {limit} allowed",
    "top1_agreement": "gives the checkpoint's answer for a share of {value} of the faces, {limit} needed",
    "top3_overlap": "has a share of {value} of the checkpoint's three heaviest regions, {limit} needed",
    "sum": "has a sum that is {value} from 1, {limit} allowed",
    "permutation": "changes by {value} with a face's place or neighbours in the batch, {limit} allowed",
    "accuracy_drop": "loses a share of {value} in accuracy against the checkpoint, {limit} allowed",
}


def failure_text(checks: Iterable[Check]) -> str:
    """Name every failed check with its output, worst place, value and limit; "" if none failed."""
    failed = [_sentence(check) for check in checks if not check.passed]
    return f"failed the gate: {'; '.join(failed)}" if failed else ""


def _sentence(check: Check) -> str:
    value, limit = _apart(check.value, check.limit)
    words = _WORDS[check.metric].format(value=value, limit=limit)
    places = (("batch", check.batch), ("sample", check.sample), ("region", check.region))
    where = ", ".join(f"{kind} {number}" for kind, number in places if number is not None)
    return f"{check.output} {words}" + (f" (worst at {where})" if where else "")


def _apart(value: float, limit: float | None) -> tuple[str, str]:
    """Write both with as many digits as tell them apart: 0.9999997 must not read as the 1 that it missed."""
    if limit is None:
        return f"{value:.6g}", "nothing"
    digits = next((count for count in (6, 9) if f"{value:.{count}g}" != f"{limit:.{count}g}"), 17)
    return f"{value:.{digits}g}", f"{limit:.{digits}g}"
