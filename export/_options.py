"""What a user asks of an export, parsed and checked before anything is built."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lnlattennet.errors import UsageError
from lnlattennet.export.gate._limits import parse_limits
from lnlattennet.export.selection._strategy import STRATEGIES
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.runtimes._base import BatchRange
from lnlattennet.runtimes._precision import PRECISIONS
from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig

AUTO = "auto"
CALIBRATION_METHODS = ("minmax", "percentile", "entropy")
FEWEST_FACES = 32
"""To calibrate with, and to verify with: fewer say too little."""
MAX_BATCH = 4096


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How the ranges of activations are found for int8 and fp8.

    Attributes:
        pictures: folder of faces, or None for rendered ones.
        faces: how many to use.
        method: "minmax", "percentile" or "entropy".
    """

    pictures: Path | None = None
    faces: int = 256
    method: str = "minmax"


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """What engines are compared with, and how the one that serves is chosen.

    Attributes:
        faces: rendered faces for the gate.
        data: labelled faces for the accuracy: a data set's path, "synthetic", or None.
        split: of ``data``; None takes test, else val, else all.
        labelled_faces: most labelled faces, evenly spread over the split.
        limits: changes of the gate's limits by name, such as {"atol": ("logits:1e-3",), "max_kl": 1e-4}
            (``gate._metrics``).
        strategy: one of ``STRATEGIES``.
        budget_ms: for "latency-budget", milliseconds per call.
        rounds: timed calls of every engine at every batch size.
    """

    faces: int = 256
    data: str | None = None
    split: str | None = None
    labelled_faces: int = 2_100
    limits: Mapping[str, Sequence[str] | float] = field(default_factory=dict)
    strategy: str = "min-latency"
    budget_ms: float | None = None
    rounds: int = 50

    def __post_init__(self) -> None:
        parse_limits("fp32", self.limits)


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """One export.

    Attributes:
        checkpoint: the file to export.
        output: the bundle's folder.
        batch: batch sizes that every engine accepts.
        backends: names to build, or empty for all that are available.
        precisions: of ``PRECISIONS``, or "auto": every exact one that a backend has, and int8 where it
            passes, found by search; fp32 if empty.
        plan_file: a precision plan to build instead of whole precisions.
        calibration, criteria, builder: see there.
        force: replace an existing bundle.
        allow_pickle: accept a pickled training checkpoint.
        command: the command line, for the manifest.

    Raises:
        UsageError: a field breaks its rule, or two contradict each other.
    """

    checkpoint: Path
    output: Path
    batch: BatchRange = field(default_factory=BatchRange)
    backends: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    plan_file: Path | None = None
    calibration: Calibration = field(default_factory=Calibration)
    criteria: Criteria = field(default_factory=Criteria)
    builder: TensorRTBuilderConfig = field(default_factory=TensorRTBuilderConfig)
    force: bool = False
    allow_pickle: bool = False
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _batch_range(self.batch.minimum, self.batch.optimum, self.batch.maximum, flag="--batch")
        _check_precisions(self.precisions, self.plan_file)
        _check_choice("--calibration-method", self.calibration.method, CALIBRATION_METHODS)
        _check_choice("--strategy", self.criteria.strategy, STRATEGIES)
        for flag, faces in (
            ("--calibration-faces", self.calibration.faces),
            ("--verification-faces", self.criteria.faces),
        ):
            if not FEWEST_FACES <= faces <= 100_000:
                raise UsageError(f"{flag} must be from {FEWEST_FACES} to 100000, got {faces}")
        _check_budget(self.criteria)
        _check_labelled(self.criteria)


def parse_batch(text: str) -> BatchRange:
    """Read "MIN:OPT:MAX", or "N" for exactly N; raise UsageError with the rule and the value."""
    parts = text.split(":")
    if len(parts) not in (1, 3) or not all(re.fullmatch(r"[0-9]{1,6}", part) for part in parts):
        raise UsageError(f"--batch must be MIN:OPT:MAX or one number, such as 1:8:32, got {text!r}")
    numbers = [int(part) for part in parts]
    return _batch_range(*(numbers * 3 if len(numbers) == 1 else numbers), flag=f"--batch {text}")


def parse_shapes(shapes: Sequence[str], image_size: int) -> BatchRange:
    """Read the three values of --min-shapes, --opt-shapes and --max-shapes, such as image:1x3x112x112."""
    batches = []
    for text in shapes:
        match = re.fullmatch(rf"{INPUT_NAME}:([0-9]{{1,6}})x3x([0-9]+)x([0-9]+)", text)
        if not match or {int(match[2]), int(match[3])} != {image_size}:
            raise UsageError(
                f"a shape must be {INPUT_NAME}:BATCHx3x{image_size}x{image_size} for this checkpoint, "
                f"got {text!r}"
            )
        batches.append(int(match[1]))
    return _batch_range(*batches, flag="--min-shapes, --opt-shapes, --max-shapes")


def parse_duration(flag: str, text: str) -> float:
    """Read "5ms", "0.5s" or "5" (milliseconds); return milliseconds."""
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)(ms|s)?", text)
    milliseconds = float(match[1]) * (1000 if match[2] == "s" else 1) if match else math.nan
    if not 0 < milliseconds < math.inf:
        raise UsageError(f"{flag} must be a positive time such as 5ms or 0.1s, got {text!r}")
    return milliseconds


def _batch_range(minimum: int, optimum: int, maximum: int, *, flag: str) -> BatchRange:
    if not 1 <= minimum <= optimum <= maximum <= MAX_BATCH:
        raise UsageError(
            f"{flag}: batch sizes must satisfy 1 <= MIN <= OPT <= MAX <= {MAX_BATCH}, "
            f"got {minimum}:{optimum}:{maximum}"
        )
    return BatchRange(minimum, optimum, maximum)


def _check_precisions(precisions: Sequence[str], plan_file: Path | None) -> None:
    if precisions and plan_file:
        raise UsageError(
            "give either --precision or --precision-plan: a plan says the precision of every block"
        )
    if AUTO in precisions and len(precisions) > 1:
        raise UsageError("--precision auto already means every precision that passes; name others without it")
    for name in precisions:
        _check_choice("--precision", name, (AUTO, *PRECISIONS))


def _check_choice(flag: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UsageError(f"{flag} must be one of {', '.join(choices)}, got {value!r}")


def _check_budget(criteria: Criteria) -> None:
    if (criteria.strategy == "latency-budget") != (criteria.budget_ms is not None):
        raise UsageError(
            "--latency-budget TIME and --strategy latency-budget belong together, such as "
            "--strategy latency-budget --latency-budget 5ms"
        )


def _check_labelled(criteria: Criteria) -> None:
    given = {"--split": criteria.split, "--max-accuracy-drop": criteria.limits.get("max_accuracy_drop")}
    for flag, value in given.items():
        if criteria.data is None and value is not None:
            raise UsageError(f"{flag} {value} is about labelled faces; name them: --data PATH, or synthetic")
