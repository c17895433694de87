"""Registry of the gate's metrics: one row each, which the gate, its flags, its errors and the report read.

A new metric is a row in ``_ROWS`` with a function of ``_comparisons``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from lnlattennet.bundle._prediction import LARGEST_SUM_ERROR
from lnlattennet.export.gate._comparisons import (
    MetricValues,
    Output,
    cosine,
    kl_divergence,
    max_abs,
    sum_error,
    top1_agreement,
    top3_overlap,
)
from lnlattennet.model._io_spec import OUTPUT_NAMES

Limits = Mapping[str, Mapping[str, float | None]]
"""Name of a limit -> output -> value; None requires nothing, and the metric is only reported."""


@dataclass(frozen=True)
class Range:
    """Values that a limit may take, and their description in errors."""

    text: str
    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return math.isfinite(value) and self.low <= value <= self.high


_SHARE = Range("a share from 0 to 1 (0.99 is 99%)", 0, 1)
_NOT_NEGATIVE = Range("a number >= 0", 0, math.inf)
_SERVED_SUM = Range(
    f"a number from 0 to {LARGEST_SUM_ERROR}, which every answer is checked for again", 0, LARGEST_SUM_ERROR
)
_COSINE = Range("a number from -1 to 1", -1, 1)

Default = float | None | tuple[float, ...]
"""One limit for all outputs of a metric, or one for each of them."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One limit of the gate, with its flag of `export-engine`.

    Attributes:
        name: the flag without its dashes, such as "min_cosine".
        help: description of the flag.
        range: values that it accepts.
        defaults: precision -> default; precisions that are not named take fp32's.
        per_output: whether the flag takes "[OUTPUT:]VALUE" and may be repeated, or is one number.
    """

    name: str
    help: str
    range: Range
    defaults: Mapping[str, Default]
    per_output: bool = False

    @property
    def flag(self) -> str:
        """The flag on the command line."""
        return f"--{self.name.replace('_', '-')}"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric of the gate.

    Attributes:
        name: ``Check.metric``.
        title: heading in the report.
        note: explanation below the title.
        failure: sentence about a failed check, after the output's name, with {value} and {limit}.
        outputs: outputs that it is computed for.
        limits: what passes: one limit, or an absolute and a relative tolerance.
        compare: (output, expected) of one call -> values; an ``elementwise`` one takes atol and rtol too.
            None for the accuracy, which has labels and a function of its own.
        against: "reference" compares with the checkpoint in PyTorch; "first call" compares with the engine's
            own first output for the sample at the same batch size; "labels" with labeled faces.
        higher_is_better: whether the limit is a lower bound; such metrics are 1 at best.
        mean: whether the limit is for the mean over the samples, or for the worst sample.
        elementwise: whether every element has a tolerance of its own, atol + rtol * |expected|.
        format: how the report writes a value.
    """

    name: str
    title: str
    note: str
    failure: str
    limits: tuple[Limit, ...]
    outputs: tuple[str, ...] = ("logits",)
    compare: Callable[..., MetricValues] | None = None
    against: Literal["reference", "first call", "labels"] = "reference"
    higher_is_better: bool = False
    mean: bool = False
    elementwise: bool = False
    format: Literal["number", "share", "cosine"] = "number"

    def passed(self, value: float, limit: float | None) -> bool:
        """Return whether a value is within a limit; None requires nothing."""
        if limit is None:
            return True
        return value >= limit if self.higher_is_better else value <= limit


@dataclass(frozen=True)
class OutputMetric:
    """A metric of one output with what passes.

    Attributes:
        limit: what passes, unless ``MetricValues.allowed`` says so sample by sample; None requires nothing.
        compare: (output, expected) of one call -> values.
    """

    metric: Metric
    output: str
    limit: float | None
    compare: Callable[[Output, Output], MetricValues] = field(repr=False)


def output_metrics(against: str, limits: Limits) -> Iterator[OutputMetric]:
    """Yield every metric of every output that is compared ``against`` the reference or the first call."""
    for metric in METRICS.values():
        if metric.against == against and metric.compare is not None:
            for output in metric.outputs:
                values = [limits[limit.name][output] for limit in metric.limits]
                if metric.elementwise:
                    atol, rtol = values[0], (*values, 0.0)[1] or 0.0
                    bound = None if atol is None and not rtol else atol or 0.0
                    compare = partial(metric.compare, atol=bound or 0.0, rtol=rtol)
                    yield OutputMetric(metric, output, bound, compare)
                else:
                    yield OutputMetric(metric, output, values[0], metric.compare)


def _by_precision(fp32: Default, bf16: Default, fp16: Default, quantized: Default) -> dict[str, Default]:
    return {"fp32": fp32, "bf16": bf16, "fp16": fp16, "fp8": quantized, "int8": quantized}


_PERMUTATION = (1e-4, 1e-5, 1e-5)

_ROWS = (
    Metric(
        name="max_abs",
        title="Largest difference",
        note="of one element, over all faces and batch sizes",
        failure="is {value} from the checkpoint's, {limit} allowed",
        outputs=OUTPUT_NAMES,
        compare=max_abs,
        elementwise=True,
        limits=(
            Limit(
                name="atol",
                help="Absolute tolerance, [OUTPUT:]VALUE. Repeatable.",
                range=_NOT_NEGATIVE,
                # In lower precisions the largest difference says little: it grows with the logits' scale.
                defaults=_by_precision(_PERMUTATION, None, None, None),
                per_output=True,
            ),
            Limit(
                name="rtol",
                help="Relative tolerance, [OUTPUT:]VALUE, added to --atol. Repeatable.",
                range=_NOT_NEGATIVE,
                defaults={"fp32": 0.0},
                per_output=True,
            ),
        ),
    ),
    Metric(
        name="cosine",
        title="Cosine similarity",
        note="smallest over the faces",
        failure="has cosine {value} with the checkpoint's, {limit} needed",
        outputs=OUTPUT_NAMES,
        compare=cosine,
        higher_is_better=True,
        format="cosine",
        limits=(
            Limit(
                name="min_cosine",
                help="Smallest cosine similarity, [OUTPUT:]VALUE. Repeatable.",
                range=_COSINE,
                defaults=_by_precision(0.9999, (0.995, 0.995, 0.998), 0.999, (0.95, 0.95, 0.98)),
                per_output=True,
            ),
        ),
    ),
    Metric(
        name="kl",
        title="KL divergence",
        note="mean over the faces, in nats",
        failure="has a mean KL divergence of {value} nats from the checkpoint's, {limit} allowed",
        compare=kl_divergence,
        mean=True,
        limits=(
            Limit(
                name="max_kl",
                help="Largest mean KL divergence, in nats.",
                range=_NOT_NEGATIVE,
                defaults=_by_precision(1e-6, 1e-3, 1e-4, 0.01),
            ),
        ),
    ),
    Metric(
        name="top1_agreement",
        title="Same top class",
        note="share of faces, compared with the checkpoint, ties included",
        failure="gives the checkpoint's answer for a share of {value} of the faces, {limit} needed",
        compare=top1_agreement,
        higher_is_better=True,
        mean=True,
        format="share",
        limits=(
            Limit(
                name="min_agreement",
                help="Smallest share of faces with the checkpoint's top class.",
                range=_SHARE,
                defaults={"fp32": 0.99},
            ),
        ),
    ),
    Metric(
        name="top3_overlap",
        title="Same three top regions",
        note="share of the checkpoint's top three, ties included, mean over the faces",
        failure="has a share of {value} of the checkpoint's three heaviest regions, {limit} needed",
        outputs=("region_weights",),
        compare=top3_overlap,
        higher_is_better=True,
        mean=True,
        format="share",
        limits=(
            Limit(
                name="min_top3_overlap",
                help="Smallest mean share of the checkpoint's three heaviest regions.",
                range=_SHARE,
                defaults=_by_precision(0.99, 0.98, 0.98, 0.95),
            ),
        ),
    ),
    Metric(
        name="sum",
        title="Weights sum to 1",
        note="largest distance of a sum from 1",
        failure="has a sum that is {value} from 1, {limit} allowed",
        outputs=("region_weights", "region_affinity"),
        compare=sum_error,
        limits=(
            Limit(
                name="max_sum_error",
                help="Largest distance from 1 of a sum of weights.",
                range=_SERVED_SUM,
                defaults=_by_precision(1e-5, LARGEST_SUM_ERROR, 1e-3, LARGEST_SUM_ERROR),
            ),
        ),
    ),
    Metric(
        name="permutation",
        title="Batch neighbors",
        note="largest change of an output when the neighbors in the batch change",
        failure="changes by {value} with a face's place or neighbors in the batch, {limit} allowed",
        outputs=OUTPUT_NAMES,
        compare=max_abs,
        against="first call",
        elementwise=True,
        limits=(
            Limit(
                name="max_permutation",
                help="Largest change of an output with a face's batch neighbors, [OUTPUT:]VALUE. Repeatable.",
                range=_NOT_NEGATIVE,
                # For one batch size a runtime calls the same kernels, whatever the batch holds: ONNX Runtime
                # and OpenVINO gave bit-equal outputs in fp32, bf16 and int8, for other neighbors and places.
                # So rounding in float32 is all that is allowed in every precision: a leak between samples
                # cannot hide behind a coarse one.
                defaults={"fp32": _PERMUTATION},
                per_output=True,
            ),
        ),
    ),
    Metric(
        name="accuracy_drop",
        title="Accuracy lost",
        note="on labeled faces",
        failure="loses a share of {value} in accuracy against the checkpoint, {limit} allowed",
        against="labels",
        format="share",
        limits=(
            Limit(
                name="max_accuracy_drop",
                help="Largest loss of accuracy on --data, a share.",
                range=_SHARE,
                defaults={"fp32": 0.005},
            ),
        ),
    ),
)

METRICS = {metric.name: metric for metric in _ROWS}
"""Every metric by name, in the order of the report."""

FORM_FAILURES = {
    "missing": "is missing",
    "dtype": "is not float32",
    "shape": "has another shape than the checkpoint's",
    "finite": "holds numbers that are not finite",
    "negative": "holds negative numbers",
    "constant": "is {value} from the checkpoint's, a constant answer only twice {limit}: faces hardly matter",
}
"""Faults of an output that no limit allows -> sentence, which may name {value} and {limit}."""
