"""What a user asks of an export, parsed and checked before anything is built."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lnlattennet.errors import UsageError
from lnlattennet.export.backends.base import BatchRange
from lnlattennet.model.names import INPUT_NAME, OUTPUT_NAMES

MAX_BATCH = 4096
DEFAULT_ATOL = {"logits": 1e-4, "region_weights": 1e-5, "region_affinity": 1e-5}
"""Largest allowed distance from the checkpoint in torch, fp32, per output."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """One export.

    Attributes:
        checkpoint: the file to export.
        output: the bundle's folder.
        batch: batch sizes that every engine accepts.
        backends: names to build, or empty for all that are available.
        atol: per output, the largest absolute difference that passes.
        rtol: per output, additional tolerance as a share of the reference's value.
        force: replace an existing bundle.
        allow_pickle: accept a pickled training checkpoint.
        command: the command line, for the manifest.
    """

    checkpoint: Path
    output: Path
    batch: BatchRange = field(default_factory=BatchRange)
    backends: tuple[str, ...] = ()
    atol: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_ATOL))
    rtol: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(OUTPUT_NAMES, 0.0))
    force: bool = False
    allow_pickle: bool = False
    command: tuple[str, ...] = ()


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


def parse_tolerances(flag: str, texts: Sequence[str], defaults: Mapping[str, float]) -> dict[str, float]:
    """Read "OUTPUT:VALUE" (or "VALUE" for all outputs), later ones winning, on top of ``defaults``."""
    tolerances = dict(defaults)
    for text in texts:
        name, _, number = text.rpartition(":")
        if name and name not in OUTPUT_NAMES:
            raise UsageError(f"{flag} {text}: unknown output {name!r}; outputs: {', '.join(OUTPUT_NAMES)}")
        value = _tolerance(flag, text, number)
        tolerances.update(dict.fromkeys([name] if name else OUTPUT_NAMES, value))
    return tolerances


def _batch_range(minimum: int, optimum: int, maximum: int, *, flag: str) -> BatchRange:
    if not 1 <= minimum <= optimum <= maximum <= MAX_BATCH:
        raise UsageError(
            f"{flag}: batch sizes must satisfy 1 <= MIN <= OPT <= MAX <= {MAX_BATCH}, "
            f"got {minimum}:{optimum}:{maximum}"
        )
    return BatchRange(minimum, optimum, maximum)


def _tolerance(flag: str, text: str, number: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise UsageError(f"{flag} must be [OUTPUT:]NUMBER with a number >= 0, got {text!r}")
    return value
