"""What an engine's answers must satisfy to be published, by default for each precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

from lnlattennet.bundle._outputs import LARGEST_SUM_ERROR
from lnlattennet.model._io_spec import OUTPUT_NAMES

PerOutput = Mapping[str, float | None]
"""Output -> limit; None where nothing is required and the value is only reported."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What passes; None where nothing is required. The metrics are those of ``manifest.Check``.

    Attributes:
        atol: per output, |engine - torch| <= atol + rtol * |torch| must hold for every element.
        rtol: per output; with an atol of None, one above 0 is the whole tolerance.
        cosine: per output, the least similarity for any face.
        kl: the largest mean of KL(torch || engine) over the faces, in nats.
        top1_agreement: the least share of faces with the same answer.
        top3_overlap: the least mean share of a face's three heaviest regions that stay the same.
        sum: the largest distance from 1 of the sum of the region weights, and of a row of the affinity.
        permutation: per output, how much a face's answer may change between calls of the same batch size,
            when its neighbours or its place in the batch change.
        accuracy_drop: the largest loss of accuracy on labelled faces, as a share.
    """

    atol: PerOutput
    rtol: Mapping[str, float]
    cosine: PerOutput
    kl: float | None
    top1_agreement: float | None
    top3_overlap: float | None
    sum: float | None
    permutation: PerOutput
    accuracy_drop: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the limits as plain JSON values."""
        return asdict(self)


# For one batch size a runtime calls the same kernels, whatever lies in the batch: ONNX Runtime and OpenVINO
# gave bit-equal answers in fp32, bf16 and int8, for other neighbours and other places. So rounding in float32
# is all that is allowed here in every precision: a leak cannot hide behind a coarse one.
_PERMUTATION = {"logits": 1e-4, "region_weights": 1e-5, "region_affinity": 1e-5}

_FP32 = Limits(
    atol={"logits": 1e-4, "region_weights": 1e-5, "region_affinity": 1e-5},
    rtol=dict.fromkeys(OUTPUT_NAMES, 0.0),
    cosine=dict.fromkeys(OUTPUT_NAMES, 0.9999),
    kl=1e-6,
    top1_agreement=0.99,
    top3_overlap=0.99,
    sum=1e-5,
    permutation=_PERMUTATION,
    accuracy_drop=0.005,
)


def _rounded(*, cosine: tuple[float, float, float], kl: float, top3_overlap: float, sum: float) -> Limits:
    """Return limits of a precision whose largest difference says little: it grows with the logits' scale."""
    return replace(
        _FP32,
        atol=dict.fromkeys(OUTPUT_NAMES),
        cosine=dict(zip(OUTPUT_NAMES, cosine, strict=True)),
        kl=kl,
        top3_overlap=top3_overlap,
        sum=sum,
    )


_QUANTIZED = _rounded(cosine=(0.95, 0.95, 0.98), kl=0.01, top3_overlap=0.95, sum=LARGEST_SUM_ERROR)

_DEFAULTS = MappingProxyType(
    {
        "fp32": _FP32,
        "bf16": _rounded(cosine=(0.995, 0.995, 0.998), kl=1e-3, top3_overlap=0.98, sum=LARGEST_SUM_ERROR),
        "fp16": _rounded(cosine=(0.999, 0.999, 0.999), kl=1e-4, top3_overlap=0.98, sum=1e-3),
        "fp8": _QUANTIZED,
        "int8": _QUANTIZED,
    }
)


def default_limits(precision: str) -> Limits:
    """Return what passes in a precision, one of ``PRECISIONS``; for a plan, its fastest one.

    fp32 must give the checkpoint's numbers. Lower precisions must give its answers: at least 99% of them the
    same, accuracy within half a point, and probabilities and region weights that a reader of the result could
    not tell apart. Chosen from the demo checkpoint (256 rendered faces, logits from -20 to 22), in the order
    worst cosine of logits, region weights and affinity; mean KL; top-3 overlap; largest error of a sum:

        fp32  1.0000 1.0000 1.0000   1e-13   1.000   2e-7    OpenVINO
        fp16  1.0000 1.0000 1.0000   4e-7    0.996   4e-4    torch, all of it in fp16
        bf16  0.9998 0.9992 0.9999   2e-5    0.999   2e-7    OpenVINO (sums: 3e-3 in torch, all of it in bf16)
        int8  0.9911 0.9975 0.9998   3e-4    0.992   2e-7    OpenVINO and ONNX Runtime, attention in fp32
        int8  0.9538 0.9575 0.9984   1.4e-3  0.987   2e-7    ONNX Runtime, attention in int8 too

    No answer changed in any of them, while the largest difference of a logit was 0.02 in fp16, 0.4 in bf16
    and 0.8 in int8; an int8 engine that changed 0.8% of the answers had 10.6, and region weights of cosine
    0.93. fp8 takes int8's limits: it was not measured.
    """
    return _DEFAULTS[precision]
