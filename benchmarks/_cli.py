"""Command `lnlattennet bench`: what became slower between two records of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lnlattennet._command import print_json
from lnlattennet.errors import RegressionError, UsageError, require

app = typer.Typer(help="Measure speed, and compare records.", no_args_is_help=True)


@app.callback()
def _bench() -> None:
    """Measure speed, and compare records."""


@app.command()
def compare(
    old: Annotated[Path, typer.Argument(help="Record that a benchmark wrote (--output).")],
    new: Annotated[Path, typer.Argument(help="Later record of the same benchmark and machine.")],
    fail_on_regression: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT",
            help="Exit with 5 if a case's first candidate is slower by more than this, such as 5%.",
        ),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Tell what changed from one record of a benchmark to another, and what may be chance.

    A case's first candidate is what the benchmark is about; the others, in parentheses, tell how much slower
    the machine was.
    """
    require("scipy", "bench")
    from lnlattennet.benchmarks.comparison._changes import changes
    from lnlattennet.benchmarks.comparison._tables import change_table
    from lnlattennet.benchmarks.harness._samples import read_record, read_starts

    tolerance = _share(fail_on_regression)
    records = read_record(old), read_record(new)
    _require_same_benchmark(*records)
    found = changes(read_starts(records[0]), read_starts(records[1]), tolerance)
    if not found:
        raise UsageError(f"{old} and {new} have no candidate of a case in common, so nothing can be compared")
    if json_output:
        print_json({"tolerance": tolerance, "changes": [change.to_json() for change in found]})
    else:
        typer.echo(change_table(found))
    slower = [change for change in found if change.subject and change.verdict == "slower"]
    if fail_on_regression is not None and slower:
        named = ", ".join(f"{c.candidate} in {c.case} ({c.ratio.value:.2f} times)" for c in slower)
        raise RegressionError(f"slower by more than {fail_on_regression}: {named}")


def _share(percent: str | None) -> float:
    if percent is None:
        return 0.0
    try:
        share = float(percent.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise UsageError(f"--fail-on-regression takes a percentage from 0% to 99%, got {percent!r}")
    return share


def _require_same_benchmark(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuse records whose times cannot be told apart from a change of the machine or of the question."""
    if old["benchmark"] != new["benchmark"]:
        raise UsageError(
            f"two records can be compared if one benchmark wrote them; these are of {old['benchmark']!r} and "
            f"{new['benchmark']!r}"
        )
    for fact in ("cpu", "cpus", "threads", "gpu"):
        before, after = (record.get("machine", {}).get(fact) for record in (old, new))
        if before != after:
            raise UsageError(
                f"two records can be compared if one machine gave them; their {fact} is {before!r} and "
                f"{after!r}"
            )
