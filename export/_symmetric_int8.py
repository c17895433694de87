"""The int8 network as TensorRT takes it, for tools on machines with a GPU."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import onnx

from lnlattennet._console import status
from lnlattennet.errors import ExportError
from lnlattennet.export._candidate import Candidate
from lnlattennet.export.gate._limits import failure_text, flags_text, parse_limits
from lnlattennet.export.gate._verification import Verifier
from lnlattennet.export.precision._apply import apply_plan
from lnlattennet.export.precision._calibration import Ranges
from lnlattennet.runtimes._errors import translate_runtime_errors
from lnlattennet.runtimes._onnxruntime import load_unfused
from lnlattennet.runtimes._precision import PrecisionPlan

INT8_ONNX_NAME = "model-int8.onnx"
"""The network in int8 without zero points, which TensorRT's builder takes on a machine with a GPU."""

_log = logging.getLogger(__name__)


def write_symmetric_int8(
    folder: Path,
    standard: onnx.ModelProto,
    ranges: Ranges,
    candidates: Sequence[Candidate],
    verifier: Verifier,
    limits: Mapping[str, Sequence[str] | float],
) -> None:
    """Write the network with the int8 blocks of an int8 engine that passed, if it passes the gate itself.

    The other blocks are in float32, in which the gate can run them anywhere. Nothing is written without an
    int8 engine; one that was only built counts after those that passed.

    Args:
        folder: the bundle's draft.
        standard: the network in fp32, standard operators only.
        ranges: tensor -> (lowest, highest) activation.
        candidates: the engines of the bundle.
        verifier: of the export.
        limits: the command's overrides of the gate's limits.
    """
    plan = _int8_plan(candidates)
    if plan is None:
        return
    path = folder / INT8_ONNX_NAME
    onnx.save_model(apply_plan(standard, plan, ranges, symmetric=True), str(path))
    with status(f"verifying {INT8_ONNX_NAME}"), translate_runtime_errors(INT8_ONNX_NAME, "run", ExportError):
        # It is no engine: its accuracy is not told among theirs.
        checks = replace(verifier, accuracies={}).check(
            INT8_ONNX_NAME, load_unfused(path), parse_limits("int8", limits)
        )
    if all(check.passed for check in checks):
        _log.info("%s: passed the gate", INT8_ONNX_NAME)
        return
    path.unlink()
    _log.warning("%s is left out: %s%s", INT8_ONNX_NAME, failure_text(checks), flags_text(checks))


def _int8_plan(candidates: Sequence[Candidate]) -> PrecisionPlan | None:
    for candidate in sorted(candidates, key=lambda candidate: not candidate.passed):
        if candidate.record.precision == "int8":
            blocks = candidate.record.plan.items()
            return PrecisionPlan({name: value if value == "int8" else "fp32" for name, value in blocks})
    return None
