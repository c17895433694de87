"""Scores on rendered faces, as a table for people."""

from __future__ import annotations

from rich.table import Table

from lnlattennet._statistics import Estimate
from lnlattennet.evaluation.explain._data import RenderedScores


def score_table(scores: RenderedScores, *, regions: int) -> Table:
    """Return crucial-region recall beside that of even weights, and the accuracy with regions covered.

    Args:
        scores: to show.
        regions: number of regions, K.
    """
    crucial = scores.crucial_regions
    table = Table("figure", "value", "95% interval", "even weights", "at most")
    even = f"{crucial.uniform_share:.1%}"
    table.add_row("weight on the true regions", *_share(crucial.share_of_weight), even, "100.0%")
    times = crucial.times_uniform
    interval = f"{times.low:.2f} to {times.high:.2f}"
    table.add_row("  times uniform", f"{times.value:.2f}", interval, "1", f"{crucial.best_possible:.2f}")
    for k, hits in ((1, crucial.top_1_hit_rate), (3, crucial.top_3_hit_rate)):
        table.add_row(f"top-{k} hit rate", *_share(hits), f"{min(1, k / regions):.1%}", "100.0%")
    table.add_section()
    for point in scores.occlusion:
        name = f"accuracy, {point.covered} of {regions} regions covered"
        table.add_row(name, *_share(point.accuracy), "", "")
    return table


def _share(figure: Estimate) -> tuple[str, str]:
    return f"{figure.value:.1%}", f"{figure.low:.1%} to {figure.high:.1%}"
