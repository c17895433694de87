"""Limits of the gate: the defaults of each precision, the changes by flags, and the text of a failure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from lnlattennet.bundle._manifest import Check
from lnlattennet.errors import UsageError
from lnlattennet.export.gate._metrics import FORM_FAILURES, METRICS, Limit, Limits

LIMITS = {limit.name: (limit, metric.outputs) for metric in METRICS.values() for limit in metric.limits}
"""Name of a limit -> the limit, and the outputs that it is for."""


def default_limits(precision: str) -> dict[str, dict[str, float | None]]:
    """Return the limits of a precision, one of ``PRECISIONS``; a plan has those of its fastest precision.

    fp32 must give the checkpoint's numbers. Lower precisions must give its answers: at least 99% of them the
    same, accuracy within half a point, and probabilities and region weights without a visible difference.
    Chosen from the demo checkpoint (256 rendered faces, logits from -20 to 22), in the order worst cosine of
    logits, region weights and affinity; mean KL; top-3 overlap; largest error of a sum:

        fp32  1.0000 1.0000 1.0000   1e-13   1.000   2e-7    OpenVINO
        fp16  1.0000 1.0000 1.0000   4e-7    0.996   4e-4    torch, all of it in fp16
        bf16  0.9998 0.9992 0.9999   2e-5    0.999   2e-7    OpenVINO (sums: 3e-3 in torch, all of it in bf16)
        int8  0.9911 0.9975 0.9998   3e-4    0.992   2e-7    OpenVINO and ONNX Runtime, attention in fp32
        int8  0.9538 0.9575 0.9984   1.4e-3  0.987   2e-7    ONNX Runtime, attention in int8 too

    No answer changed in any of them, while the largest difference of a logit was 0.02 in fp16, 0.4 in bf16
    and 0.8 in int8; an int8 engine that changed 0.8% of the answers had 10.6, and region weights of cosine
    0.93. fp8 takes int8's limits: it was not measured.
    """
    limits: dict[str, dict[str, float | None]] = {}
    for name, (limit, outputs) in LIMITS.items():
        value = limit.defaults.get(precision, limit.defaults["fp32"])
        values = value if isinstance(value, tuple) else [value] * len(outputs)
        limits[name] = dict(zip(outputs, values, strict=True))
    return limits


def parse_limits(precision: str, overrides: Mapping[str, Sequence[str] | float]) -> Limits:
    """Return the limits of a precision with what the user changed.

    Args:
        precision: one of ``PRECISIONS``.
        overrides: name of a limit -> its number, or the texts "[OUTPUT:]VALUE" of a limit per output, of
            which later ones win.

    Raises:
        UsageError: an unknown limit or output, or a value that is not a number in the limit's range.
    """
    limits = default_limits(precision)
    for name, value in overrides.items():
        if name not in LIMITS:
            raise UsageError(f"unknown limit {name!r}; limits: {', '.join(LIMITS)}")
        limit, outputs = LIMITS[name]
        if isinstance(value, int | float):
            if value not in limit.range:
                raise UsageError(f"{limit.flag} must be {limit.range.text}, got {value!r}")
            limits[name] = dict.fromkeys(outputs, value)
            continue
        for text in value:
            limits[name] |= _parse(limit, outputs, text)
    return limits


def failure_text(checks: Iterable[Check]) -> str:
    """Name every failed check with its output, worst place, value and limit; "" if none failed."""
    failed = [_sentence(check) for check in checks if not check.passed]
    return f"failed the gate: {'; '.join(failed)}" if failed else ""


def flags_text(checks: Iterable[Check]) -> str:
    """Name the flags that change the limits of the failed checks; "" if none has one."""
    failed = (METRICS.get(check.metric) for check in checks if not check.passed)
    flags = dict.fromkeys(metric.limits[0].flag for metric in failed if metric)
    return f"; flags of these limits: {', '.join(flags)}" if flags else ""


def _parse(limit: Limit, outputs: Sequence[str], text: str) -> dict[str, float]:
    output, _, number = text.rpartition(":")
    if output and output not in outputs:
        raise UsageError(f"{limit.flag} {text}: unknown output {output!r}; outputs: {', '.join(outputs)}")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if value not in limit.range:
        raise UsageError(f"{limit.flag} must be [OUTPUT:]VALUE with {limit.range.text}, got {text!r}")
    return dict.fromkeys([output] if output else outputs, value)


def _sentence(check: Check) -> str:
    value, limit = _distinct(check.value, check.limit)
    sentence = FORM_FAILURES.get(check.metric) or METRICS[check.metric].failure
    places = (("batch", check.batch), ("sample", check.sample), ("region", check.region))
    where = ", ".join(f"{kind} {number}" for kind, number in places if number is not None)
    return f"{check.output} {sentence.format(value=value, limit=limit)}" + (
        f" (worst at {where})" if where else ""
    )


def _distinct(value: float, limit: float | None) -> tuple[str, str]:
    """Write both with as many digits as tell them apart: 0.9999997 must not read as the 1 that it missed."""
    if limit is None:
        return f"{value:.6g}", "nothing"
    digits = next((count for count in (6, 9) if f"{value:.{count}g}" != f"{limit:.{count}g}"), 17)
    return f"{value:.{digits}g}", f"{limit:.{digits}g}"
