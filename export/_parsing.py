"""Parsers of `export-engine`'s flags."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from lnlattennet.bundle._export_options import check_batch
from lnlattennet.errors import UsageError
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.runtimes._base import BatchRange


def parse_batch(text: str) -> BatchRange:
    """Read "MIN:OPT:MAX", or "N" for exactly N; raise UsageError with the rule and the value."""
    parts = text.split(":")
    if len(parts) not in (1, 3) or not all(re.fullmatch(r"[0-9]{1,6}", part) for part in parts):
        raise UsageError(f"--batch must be MIN:OPT:MAX or one number, such as 1:8:32, got {text!r}")
    numbers = [int(part) for part in parts]
    return check_batch(BatchRange(*(numbers * 3 if len(numbers) == 1 else numbers)), f"--batch {text}")


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
    return check_batch(BatchRange(*batches), "--min-shapes, --opt-shapes, --max-shapes")


def parse_duration(text: str) -> float:
    """Read "5ms" or "0.5s"; return milliseconds. Other flags take bare numbers as seconds: none is here."""
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)(ms|s)", text)
    milliseconds = float(match[1]) * (1000 if match[2] == "s" else 1) if match else math.nan
    if not 0 < milliseconds < math.inf:
        raise UsageError(
            f"--latency-budget must be a positive time such as 5ms or 0.1s, with its unit, got {text!r}"
        )
    return milliseconds
