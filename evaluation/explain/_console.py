"""What is scored on rendered faces, as a table for people."""

from __future__ import annotations

from typing import Any

from rich.table import Table


def score_table(figures: dict[str, Any], *, regions: int) -> Table:
    """Return crucial-region recall beside what even weights reach, and the accuracy with regions covered.

    Args:
        figures: ``crucial_regions`` and ``occlusion`` of ``explain_synthetic``.
        regions: K.
    """
    crucial = figures["crucial_regions"]
    table = Table("figure", "value", "95% interval", "even weights", "at most")
    even = f"{crucial['uniform_share']:.1%}"
    table.add_row("weight on the true regions", *_share(crucial["share_of_weight"]), even, "100.0%")
    times = crucial["times_uniform"]
    interval = f"{times['low']:.2f} to {times['high']:.2f}"
    table.add_row(
        "  times uniform", f"{times['value']:.2f}", interval, "1", f"{crucial['best_possible']:.2f}"
    )
    for k in (1, 3):
        hits = _share(crucial[f"top_{k}_hit_rate"])
        table.add_row(f"top-{k} hit rate", *hits, f"{min(1, k / regions):.1%}", "100.0%")
    table.add_section()
    for point in figures["occlusion"]:
        name = f"accuracy, {point['covered']} of {regions} regions covered"
        table.add_row(name, *_share(point["accuracy"]), "", "")
    return table


def _share(figure: dict[str, float]) -> tuple[str, str]:
    return f"{figure['value']:.1%}", f"{figure['low']:.1%} to {figure['high']:.1%}"
