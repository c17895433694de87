"""A record of `benchmarks/attention/__main__.py` as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lnlattennet.benchmarks.attention._candidates import FUSED, ONE_ELEMENT, READ

STATES = ("launch", "warm", "cold")
_COLUMNS = (
    "required", "case", "state", "bound", "measured",
    "95% interval", "at F.sum()'s rate", "against", "status",
)  # fmt: skip


def case_table(record: dict[str, Any]) -> str:
    """Return a block for every case: each rival's median, spread and GB/s in each state of the cache."""
    return "\n\n".join(_case_block(case, record) for case in record["cases"])


def requirement_table(record: dict[str, Any]) -> str:
    """Return the required ratios, each with its 95% interval and whether it is reached."""
    rows = [_COLUMNS]
    for row in record["requirements"]:
        sign = "at most" if row["upper"] else "at least"
        bound = "" if row["bound"] is None else f"{sign} {row['bound']:g}"
        value = f"{row['value']:.2f}" if "value" in row else ""
        interval = "{:.2f} - {:.2f}".format(*row["interval"]) if "interval" in row else ""
        ceiling = f"{row['at_read_rate']:.2f}" if "at_read_rate" in row else ""
        against = row.get("against", "")
        rows.append(
            (row["text"], row["case"], row["state"], bound, value, interval, ceiling, against, row["status"])
        )
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines of even columns, a rule under the first."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def _case_block(case: dict[str, Any], record: dict[str, Any]) -> str:
    states = [state for state in STATES if state in case["rivals"][FUSED]]
    header = [case["name"]]
    for state in states:
        header += [f"{state}, us", "p10 - p90", "GB/s", "fused is"]
    rows = [header]
    for name, result in case["rivals"].items():
        if "failed" in result:
            rows.append([name, f"left out: {result['failed']}"[:60]] + [""] * (len(header) - 2))
        else:
            rows.append([name, *(cell for state in states for cell in _cells(case, name, result, state))])
    return aligned(rows)


def _cells(case: dict[str, Any], name: str, result: dict[str, Any], state: str) -> list[str]:
    times, fused = result[state], case["rivals"][FUSED][state]
    moved = {READ: case["feature_bytes"], ONE_ELEMENT: 0}.get(name, case["traffic_bytes"])
    return [
        f"{times['median_us']:.1f}",
        f"{times['p10_us']:.1f} - {times['p90_us']:.1f}",
        f"{moved / times['median_us'] / 1e3:.1f}",
        f"{times['median_us'] / fused['median_us']:.2f}x",
    ]
