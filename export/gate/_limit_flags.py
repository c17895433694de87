"""The gate's flags: parsed and checked before anything is built."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from lnlattennet.errors import UsageError
from lnlattennet.export.gate._limits import Limits
from lnlattennet.model._io_spec import OUTPUT_NAMES

Limit = TypeVar("Limit", float, float | None)

_SHARE = "a share from 0 to 1 (0.99 is 99%)"
_NOT_NEGATIVE = "a number >= 0"
_COSINE = "a number from -1 to 1"
_RANGES = {_SHARE: (0.0, 1.0), _NOT_NEGATIVE: (0.0, math.inf), _COSINE: (-1.0, 1.0)}


def parse_limits(
    defaults: Limits,
    *,
    atol: Sequence[str] = (),
    rtol: Sequence[str] = (),
    min_cosine: Sequence[str] = (),
    max_kl: float | None = None,
    min_agreement: float | None = None,
    min_top3_overlap: float | None = None,
    max_sum_error: float | None = None,
    max_permutation: Sequence[str] = (),
    max_accuracy_drop: float | None = None,
) -> Limits:
    """Return ``defaults`` with what the flags of the same names ask for; "[OUTPUT:]VALUE", later ones win.

    Raises:
        UsageError: an unknown output, or a value that is no number or that no engine could have; it names the
            flag, the rule and the value.
    """
    return replace(
        defaults,
        atol=_per_output("--atol", atol, defaults.atol, _NOT_NEGATIVE),
        rtol=_per_output("--rtol", rtol, defaults.rtol, _NOT_NEGATIVE),
        cosine=_per_output("--min-cosine", min_cosine, defaults.cosine, _COSINE),
        kl=_one("--max-kl", max_kl, defaults.kl, _NOT_NEGATIVE),
        top1_agreement=_one("--min-agreement", min_agreement, defaults.top1_agreement, _SHARE),
        top3_overlap=_one("--min-top3-overlap", min_top3_overlap, defaults.top3_overlap, _SHARE),
        sum=_one("--max-sum-error", max_sum_error, defaults.sum, _NOT_NEGATIVE),
        permutation=_per_output("--max-permutation", max_permutation, defaults.permutation, _NOT_NEGATIVE),
        accuracy_drop=_one("--max-accuracy-drop", max_accuracy_drop, defaults.accuracy_drop, _SHARE),
    )


def _per_output(
    flag: str, texts: Sequence[str], defaults: Mapping[str, Limit], rule: str
) -> dict[str, Limit | float]:
    limits: dict[str, Limit | float] = {**defaults}
    for text in texts:
        name, _, number = text.rpartition(":")
        if name and name not in OUTPUT_NAMES:
            raise UsageError(f"{flag} {text}: unknown output {name!r}; outputs: {', '.join(OUTPUT_NAMES)}")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not _fits(value, rule):
            raise UsageError(f"{flag} must be [OUTPUT:]VALUE with {rule}, got {text!r}")
        limits.update(dict.fromkeys([name] if name else OUTPUT_NAMES, value))
    return limits


def _one(flag: str, value: float | None, default: float | None, rule: str) -> float | None:
    if value is None:
        return default
    if not _fits(value, rule):
        raise UsageError(f"{flag} must be {rule}, got {value!r}")
    return value


def _fits(value: float, rule: str) -> bool:
    low, high = _RANGES[rule]
    return math.isfinite(value) and low <= value <= high
