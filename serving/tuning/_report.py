"""Record, table and picture of a tuning."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from lnlattennet._statistics import p99
from lnlattennet.machine._hardware import cpu_model
from lnlattennet.serving.tuning._rounds import Trial
from lnlattennet.serving.tuning._tune import Tuning


def records_of(tuning: Tuning) -> dict[str, str]:
    """Return the files that tell of a tuning: name -> content."""
    return {
        "tune.json": json.dumps(_document(tuning), indent=1) + "\n",
        "tune.md": table(tuning) + "\n",
        "tune.svg": picture(tuning),
    }


def _document(tuning: Tuning) -> dict[str, Any]:
    """Return every sample as plain JSON values."""
    options = tuning.options
    return {
        "engine": tuning.engine,
        "cpu": cpu_model(),
        "cores": tuning.cores,
        "objective": options.objective,
        "image": options.image.name if options.image else "a rendered face of 192 pixels",
        "chosen": asdict(tuning.chosen.scheduling),
        "candidates": [asdict(trial) for trial in tuning.trials],
    }


def table(tuning: Tuning) -> str:
    """Return the candidates as a table in Markdown: the chosen one, then the best first."""
    loads = sorted(tuning.options.in_flight)
    head = [
        "instances and queue",
        *(f"{load} in flight: answers/s, p50, p99 ms" for load in loads),
        "rounds",
        "",
    ]
    able = [trial for trial in tuning.trials if not trial.refused]
    able.sort(
        key=lambda trial: (trial is tuning.chosen, len(trial.turns), trial.score(tuning.options.objective)),
        reverse=True,
    )
    rows = [head, ["---"] * len(head)]
    for trial in [*able, *(trial for trial in tuning.trials if trial.refused)]:
        cells = [
            ", ".join(f"{value:.1f}" for value in summary(trial, load) if value is not None) for load in loads
        ]
        rows.append([str(trial.scheduling), *cells, str(len(trial.turns)), _note(trial, tuning)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    rows[1] = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    )


def summary(trial: Trial, in_flight: int) -> tuple[float | None, ...]:
    """Return the median rate of a trial's turns, and p50 and p99 of all requests in ms; or nothing.

    p99 is None of too few requests.
    """
    samples = [sample for turn in trial.turns for sample in turn.samples if sample.in_flight == in_flight]
    if not samples:
        return ()
    latencies = np.concatenate([sample.latencies_ms for sample in samples])
    rate = float(np.median([sample.rate for sample in samples]))
    return rate, float(np.median(latencies)), p99(latencies)


def _note(trial: Trial, tuning: Tuning) -> str:
    notes = ["chosen"] if trial is tuning.chosen else []
    if trial is tuning.trials[0]:
        notes.append("default")
    if trial.refused:
        notes.append(f"refused: {trial.refused.replace('|', ' ')}".replace("\n", " "))
    return ", ".join(notes)


def picture(tuning: Tuning) -> str:
    """Return an SVG of answers a second over p50, a line for each candidate through its loads."""
    from matplotlib import colormaps, rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatter

    with rc_context({"svg.hashsalt": "tuning", "svg.fonttype": "none"}):
        figure = Figure(figsize=(9, 7), layout="constrained")
        axes = figure.add_subplot()
        axes.set_prop_cycle(color=colormaps["tab20"](range(20)))
        for trial in tuning.trials:
            if not trial.refused:
                _draw(axes, trial, tuning)
        axes.set(
            xscale="log",
            ylim=(0, None),
            xlabel="median latency, ms",
            ylabel="answers a second",
            title=f"{tuning.engine} on {tuning.cores} cores; the numbers are requests in flight",
        )
        for which in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            which(LogFormatter(minor_thresholds=(2, 0.5)))
        axes.grid(alpha=0.3)
        figure.legend(loc="outside lower center", ncols=2, fontsize="small")
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _draw(axes: Any, trial: Trial, tuning: Tuning) -> None:
    loads: Sequence[int] = sorted(tuning.options.in_flight)
    points = [summary(trial, load) for load in loads]
    chosen, default = trial is tuning.chosen, trial is tuning.trials[0]
    told = _note(trial, tuning)
    axes.plot(
        [median for _, median, _ in points],
        [rate for rate, _, _ in points],
        marker="o",
        linewidth=3 if chosen else 1.2,
        linestyle="--" if default and not chosen else "-",
        zorder=3 if chosen else 2,
        label=f"{trial.scheduling}{f' ({told})' if told else ''}",
    )
    for load, (rate, median, _) in zip(loads, points, strict=True):
        axes.annotate(
            str(load), (median, rate), textcoords="offset points", xytext=(4, 4), fontsize="x-small"
        )
