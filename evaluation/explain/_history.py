"""Course of the region weights in a training run, from `region_weights.csv` to a strip and an animation."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from lnlattennet._atomic import replace_file
from lnlattennet.errors import DataError
from lnlattennet.evaluation.explain._drawing import (
    INK,
    QUIET,
    WEIGHT_COLORS,
    RegionMap,
    bare,
    color_bar,
    image_of,
    new_figure,
)
from lnlattennet.training._run_folder import REGION_WEIGHTS

_STRIP_STATES = 6
_MOST_FRAMES = 40
_FRAME_MS = 160
_LAST_FRAME_MS = 2000
_NAMED_LINES = 5


@dataclass(frozen=True)
class WeightHistory:
    """Course of the region weights in training.

    Attributes:
        steps: training steps [T], T of 1 or more, increasing.
        weights: mean region weights on the validation faces at each step [T, K].
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
        return {
            "states": len(steps),
            "first_step": steps[0],
            "last_step": steps[-1],
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
    if (
        header != ["step", *(f"region_{k}" for k in range(regions))]
        or regions < 1
        or math.isqrt(regions) ** 2 != regions
    ):
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


def history_strip(history: WeightHistory) -> Figure:
    """Draw up to six states in a row, on one scale, above the course of every region's weight."""
    chosen = evenly(len(history.steps), _STRIP_STATES)
    figure = new_figure(12, 5.4)
    rows = figure.add_gridspec(2, 1, height_ratios=(1.15, 1))
    states = rows[0].subgridspec(1, _STRIP_STATES)
    axes = [figure.add_subplot(states[0, column]) for column in range(len(chosen))]
    top = float(history.weights.max())
    for index, state in zip(chosen, axes, strict=True):
        RegionMap(state, history.weights[index], history.grid, top)
        bare(state, f"step {history.steps[index]:,}")
    color_bar(axes, "mean share of the weight on the validation faces", top, WEIGHT_COLORS)
    _draw_lines(figure.add_subplot(rows[1]), history)
    figure.suptitle("Region weights during training", color=INK, fontsize=12)
    return figure


def save_animation(history: WeightHistory, path: Path) -> None:
    """Write a GIF that runs through up to 40 states, whole or not at all."""
    frames = list(_frames(history))
    # All frames have the palette of the last one, which has the widest range of colors.
    palette = frames[-1].quantize(256, kmeans=2)
    small = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [_FRAME_MS] * (len(small) - 1) + [_LAST_FRAME_MS]
    with replace_file(path) as draft:
        small[0].save(draft, format="GIF", save_all=True, append_images=small[1:], duration=durations, loop=0)


def _frames(history: WeightHistory) -> Iterator[Image.Image]:
    """Draw the figure once, and change only what differs."""
    figure = new_figure(9, 4.3)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.35))
    top = float(history.weights.max())
    shown = RegionMap(left, history.weights[0], history.grid, top)
    bare(left, "mean region weights")
    color_bar([left], "share of the weight", top, WEIGHT_COLORS)
    _draw_lines(right, history)
    now = right.axvline(float(history.steps[0]), color=INK, linewidth=1.2)
    for index in evenly(len(history.steps), _MOST_FRAMES):
        step = float(history.steps[index])
        shown.update(history.weights[index])
        now.set_xdata([step, step])
        figure.suptitle(f"step {step:,.0f}", color=INK, fontsize=12)
        yield image_of(figure)
        # The first frame's layout holds for all: solving it again would take most of the time.
        figure.set_layout_engine("none")


def _draw_lines(axes: Axes, history: WeightHistory) -> None:
    """Draw the course of every region; those that end highest have a color and a name."""
    order = np.argsort(-history.weights[-1])
    for region in order[_NAMED_LINES:]:
        axes.plot(history.steps, history.weights[:, region], color="#c9c8d0", linewidth=0.9, marker=".")
    for rank, region in enumerate(order[:_NAMED_LINES]):
        axes.plot(
            history.steps,
            history.weights[:, region],
            color=f"C{rank}",
            marker=".",
            linewidth=1.8,
            label=f"region {region}",
        )
    even = 1 / history.weights.shape[1]
    axes.axhline(even, color=QUIET, linewidth=0.9, linestyle="--", label="even")
    axes.set_xlabel("training step", fontsize=9, color=QUIET)
    axes.set_ylabel("mean weight", fontsize=9, color=QUIET)
    axes.set_ylim(0, 1.08 * max(even, float(history.weights.max())))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=QUIET)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """Return up to ``most`` indices from the first to the last of ``count``, evenly apart."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
