"""Region weights that a training run logged, read from its `region_weights.csv`."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import DataError
from lnlattennet.training._run_folder import REGION_WEIGHTS


@dataclass(frozen=True)
class WeightHistory:
    """Course of the region weights in training.

    Attributes:
        steps: of training [T], T of 1 or more, increasing.
        weights: mean region weights on the validation faces at each of them [T, K].
    """

    steps: NDArray[np.int64]
    weights: NDArray[np.float64]

    @property
    def grid(self) -> int:
        """Regions per side."""
        return math.isqrt(self.weights.shape[1])

    def to_dict(self) -> dict[str, Any]:
        """Return the first and the last state as plain JSON values."""
        first, last = self.weights[[0, -1]].round(6).tolist()
        steps = self.steps.tolist()
        return {"states": len(steps), "first_step": steps[0], "last_step": steps[-1]} | {
            "first_weights": first,
            "last_weights": last,
        }


def read_history(run_folder: Path) -> WeightHistory:
    """Read the history of a training run.

    Args:
        run_folder: holds `region_weights.csv` with columns step, region_0 .. region_{K-1}; a run that was
            resumed may repeat steps, of which the later row counts.

    Raises:
        DataError: the file is missing or breaks that form; names the line.
    """
    path = run_folder / REGION_WEIGHTS
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            header, *lines = csv.reader(stream)
    except FileNotFoundError as error:
        raise DataError(
            f"there is no {REGION_WEIGHTS} in {run_folder}: give the run folder of `lnlattennet train`, "
            "which writes one when it validates"
        ) from error
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from error
    regions = len(header) - 1
    if header != ["step", *(f"region_{k}" for k in range(regions))] or not _is_square(regions):
        raise DataError(
            f"{path} must have the columns step, region_0 .. region_(K-1) with K a square number, "
            f"got {','.join(header)[:80]!r}"
        )
    rows = dict(_row(path, number, line, regions) for number, line in enumerate(lines, start=2))
    if not rows:
        raise DataError(f"{path} has no row yet: let the run reach its first validation")
    steps = sorted(rows)
    return WeightHistory(np.array(steps, np.int64), np.array([rows[step] for step in steps]))


def _row(path: Path, number: int, line: list[str], regions: int) -> tuple[int, list[float]]:
    try:
        step, weights = int(line[0]), [float(value) for value in line[1:]]
        if len(weights) != regions or not all(0 <= weight <= 1 for weight in weights):
            raise ValueError
    except (ValueError, IndexError):
        raise DataError(
            f"{path}, line {number}: expected a step and {regions} weights from 0 to 1, "
            f"got {','.join(line)[:80]!r}"
        ) from None
    return step, weights


def _is_square(count: int) -> bool:
    return count > 0 and math.isqrt(count) ** 2 == count
