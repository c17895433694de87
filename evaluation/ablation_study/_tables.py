"""Table and chart of an ablation study for docs/records/ablations.md."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from matplotlib.figure import Figure

from lnlattennet.evaluation._crucial_regions import CrucialRegions
from lnlattennet.evaluation._occlusion import COVERED
from lnlattennet.evaluation.ablation_study._record import Run, StudyRecord
from lnlattennet.evaluation.explain._drawing import new_figure

_COLUMNS: dict[str, Callable[[Run], float]] = {
    "accuracy": lambda run: 100 * run.occlusion[0].accuracy.value,
    "lost with 1 covered": lambda run: 100 * run.occlusion[1].loss.value,
    "2 covered": lambda run: 100 * run.occlusion[2].loss.value,
    "4 covered": lambda run: 100 * run.occlusion[3].loss.value,
}
_REGION_COLUMNS: dict[str, Callable[[CrucialRegions], float]] = {
    "weight on true regions": lambda regions: 100 * regions.share_of_weight.value,
    "times uniform": lambda regions: regions.times_uniform.value,
    "top-1 hits": lambda regions: 100 * regions.top_1_hit_rate.value,
    "top-3 hits": lambda regions: 100 * regions.top_3_hit_rate.value,
}
"""Columns of a study whose true regions are known."""


def ablation_table(record: StudyRecord) -> str:
    """Return the Markdown table: mean and, behind it, the standard deviation over the seeds."""
    rows = [["", *_COLUMNS, *(_REGION_COLUMNS if record.runs[0].crucial_regions else ())]]
    for name, runs in record.by_ablation().items():
        cells = [_cell([value(run) for run in runs]) for value in _COLUMNS.values()]
        if regions := [run.crucial_regions for run in runs if run.crucial_regions]:
            cells += [_cell([value(scores) for scores in regions]) for value in _REGION_COLUMNS.values()]
        rows.append([name, *cells])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(values: list[float]) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else float("nan")
    return f"{statistics.mean(values):.1f} ± {spread:.1f}"


def occlusion_figure(record: StudyRecord) -> Figure:
    """Draw accuracy against the number of covered regions: a line per ablation, a dot per seed."""
    figure = new_figure(7.5, 4.2)
    axes = figure.add_subplot()
    for name, runs in record.by_ablation().items():
        points = [[100 * point.accuracy.value for point in run.occlusion] for run in runs]
        means = [statistics.mean(column) for column in zip(*points, strict=True)]
        (line,) = axes.plot(COVERED, means, linewidth=2.5 if name == "full network" else 1.2, label=name)
        for values in points:
            axes.plot(COVERED, values, ".", color=line.get_color(), alpha=0.5)
    axes.set_xticks(COVERED)
    axes.set_xlabel(f"regions covered, of {record.settings['network']['grid'] ** 2}")
    axes.set_ylabel("accuracy on held-out faces, %")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8)
    return figure
