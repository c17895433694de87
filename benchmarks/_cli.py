"""Command `lnlattennet bench`: runs benchmarks, and tells what became slower between two records."""

from __future__ import annotations

import shlex
import shutil
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from lnlattennet._atomic import replace_file
from lnlattennet._cli_options import parse_percent
from lnlattennet._command import print_json
from lnlattennet.benchmarks.harness._command import DEMO
from lnlattennet.errors import (
    DataError,
    LnlAttenNetError,
    RegressionError,
    UnavailableError,
    UsageError,
    require,
)

if TYPE_CHECKING:
    from lnlattennet.benchmarks._run import Outcome
    from lnlattennet.benchmarks._suites import Suite
    from lnlattennet.benchmarks.comparison._changes import Change
    from lnlattennet.benchmarks.harness._samples import Starts

_BUNDLE = Path("build/auto")


class _RunByDefault(TyperGroup):
    """A group whose command `run` needs no name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name where no other command is named."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_RunByDefault)


@app.callback()
def _bench() -> None:
    """Measure speed, and compare records.

    `lnlattennet bench SUITE...` is short for `lnlattennet bench run SUITE...`.
    """


_Folder = typer.Option(
    "--output",
    "-o",
    metavar="FOLDER",
    show_default="build/bench/ and the time",
    help="Folder of the records.",
)


@app.command()
def run(
    suites: Annotated[
        list[str] | None, typer.Argument(metavar="SUITE", help="Suites to run.", show_default="all")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Bundle to measure.", show_default=str(_BUNDLE))] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="The bundle's checkpoint.", show_default=str(DEMO))
    ] = None,
    output: Annotated[Path | None, _Folder] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few rounds: all in minutes.")] = False,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="PATTERN", help="Only these cases, such as '*b8'; repeatable."),
    ] = None,
    perf_analyzer: Annotated[
        Path | None,
        typer.Option(help="perf_analyzer, or a wheel that has it.", show_default="the one on PATH"),
    ] = None,
    portraits: Annotated[Path | None, typer.Option(help="Folder of portraits, for faces.")] = None,
    faceless: Annotated[Path | None, typer.Option(help="Folder of images without a face.")] = None,
    earlier: Annotated[
        str | None,
        typer.Option(
            metavar="PYTHON", help="Python of an environment with an earlier version to compare with."
        ),
    ] = None,
    programs: Annotated[
        list[str] | None,
        typer.Option(
            "--program",
            metavar="NAME=PYTHON",
            help="Python of an environment with fer, facex or DeepFace, for programs; repeatable.",
        ),
    ] = None,
    list_suites: Annotated[bool, typer.Option("--list", help="List the suites, and stop.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run suites of benchmarks, each in a process of its own, and write a record of each.

    A suite that cannot run here is skipped, with the reason. Ctrl-C keeps the records written so far.
    """
    from lnlattennet.benchmarks._run import run_suites
    from lnlattennet.benchmarks._suites import SUITES

    chosen = _chosen(suites or list(SUITES), SUITES)
    if list_suites:
        typer.echo(_suite_table(chosen))
        return
    named = {
        "bundle": bundle,
        "checkpoint": checkpoint,
        "perf_analyzer": perf_analyzer,
        "portraits": portraits,
        "faceless": faceless,
    }
    given = _given(named)
    options = _interpreters(earlier, programs or ())
    folder = output or Path("build/bench", f"{datetime.now():%Y-%m-%d-%H%M%S}")
    for suite in chosen:
        if (folder / f"{suite.name}.json").exists():
            raise UsageError(f"{folder} has a record of {suite.name} already; give another --output")
    outcomes = run_suites(
        chosen, folder, given, filters or (), options, quick=quick, tables_on_stderr=json_output
    )
    if json_output:
        print_json({"output": str(folder), "suites": [outcome.to_json() for outcome in outcomes]})
    else:
        typer.echo(f"\n{_outcome_table(outcomes)}")
    _raise_for(outcomes)


def _chosen(names: Sequence[str], known: Mapping[str, Suite]) -> list[Suite]:
    for name in names:
        if name not in known:
            raise UsageError(f"no suite is called {name!r}; the suites are {', '.join(known)}")
    return [suite for suite in known.values() if suite.name in names]


def _given(named: Mapping[str, Path | None]) -> dict[str, str]:
    """Return what was named, and what is found where nothing was.

    Raises:
        DataError: what was named is not there.
    """
    for name, path in named.items():
        if path is not None and not path.exists():
            raise DataError(f"--{name.replace('_', '-')} must name a file or a folder; {path} is not there")
    found = {
        "bundle": _BUNDLE if _BUNDLE.exists() else None,
        "checkpoint": DEMO if DEMO.exists() else None,
        "perf_analyzer": shutil.which("perf_analyzer"),
    } | {name: path for name, path in named.items() if path is not None}
    return {name: str(path) for name, path in found.items() if path is not None}


def _interpreters(earlier: str | None, programs: Sequence[str]) -> list[tuple[str, str]]:
    """Return the flags that name a Python, and their values, for those suites that take them.

    Raises:
        UsageError: a program is not known, or a Python cannot be started.
    """
    from lnlattennet.benchmarks.harness._command import python_interpreter
    from lnlattennet.benchmarks.programs.__main__ import program

    flags: list[tuple[str, str, Callable[[str], Any]]] = [("--program", named, program) for named in programs]
    flags += [("--earlier", earlier, python_interpreter)] if earlier else []
    for flag, value, check in flags:
        try:
            check(value)
        except ArgumentTypeError as error:
            raise UsageError(f"{flag} {error}") from error
    return [(flag, value) for flag, value, _ in flags]


def _suite_table(suites: Sequence[Suite]) -> str:
    from lnlattennet.benchmarks.harness._tables import aligned

    rows = [("suite", "what", "benchmark", "minutes", "cases")]
    for suite in suites:
        module = f"python -m lnlattennet.benchmarks.{suite.module}"
        rows.append(
            (suite.name, suite.summary, module, f"{suite.minutes:g}", "--filter" if suite.cases else "")
        )
    return aligned(rows)


def _outcome_table(outcomes: Sequence[Outcome]) -> str:
    from lnlattennet.benchmarks.harness._tables import aligned

    rows = [("suite", "", "seconds", "record", "note")]
    for outcome in outcomes:
        seconds = f"{outcome.seconds:.0f}" if outcome.command else ""
        rows.append((outcome.suite, outcome.status, seconds, str(outcome.record or ""), outcome.reason))
    return aligned(rows)


def _raise_for(outcomes: Sequence[Outcome]) -> None:
    failed = [outcome.suite for outcome in outcomes if outcome.status == "failed"]
    if failed:
        raise LnlAttenNetError(f"{', '.join(failed)} failed; what they wrote above says why")
    if not any(outcome.status == "measured" for outcome in outcomes):
        raise UnavailableError("no suite could be run here; the reasons are above")


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

    Each case is about its first candidate; the others, in parentheses, tell how much slower the machine was.
    """
    require("scipy", "bench")
    from lnlattennet.benchmarks.comparison._changes import changes
    from lnlattennet.benchmarks.comparison._tables import change_table
    from lnlattennet.benchmarks.harness._samples import read_record, read_starts

    tolerance = 0.0 if fail_on_regression is None else parse_percent(fail_on_regression) / 100
    records = {path: read_record(path) for path in (old, new)}
    _require_same_benchmark(records[old], records[new])
    loads = {path: record.get("load", {}) for path, record in records.items()}
    busy = {path: load["others"] for path, load in loads.items() if load.get("quiet") is False}
    before, after, quiet = read_starts(records[old]), read_starts(records[new]), not busy
    found = changes(before, after, tolerance, quiet=quiet)
    for path, others in busy.items():
        told = f"others took up to {others:.0%} of the CPUs"
        typer.echo(f"warning: {path} is of a machine that was not quiet: {told}", err=True)
    if not found:
        raise RegressionError(
            f"{old} and {new} have no candidate of a case in common, so nothing can be compared"
        )
    if json_output:
        print_json(
            {"tolerance": tolerance, "quiet": quiet, "changes": [change.to_json() for change in found]}
        )
    else:
        typer.echo(change_table(found, quiet=quiet))
    if fail_on_regression is not None:
        _require_no_regression(before, found, fail_on_regression, quiet=quiet)


def _require_no_regression(before: Starts, found: Sequence[Change], percent: str, *, quiet: bool) -> None:
    """Refuse a first candidate that became slower, or that got no verdict.

    Raises:
        RegressionError: there is one.
    """
    from lnlattennet.benchmarks.comparison._changes import FEWEST_STARTS, unjudged

    if slower := [change for change in found if change.subject and change.verdict == "slower"]:
        named = ", ".join(f"{c.candidate} in {c.case} ({_growth(c, quiet=quiet)})" for c in slower)
        raise RegressionError(f"slower by more than {percent}: {named}")
    if reasons := unjudged(before, found):
        raise RegressionError(
            "--fail-on-regression needs a verdict on the first candidate of every case, which takes "
            f"{FEWEST_STARTS} starts in both records and, on a machine that is not quiet, other candidates; "
            f"there is none on {'; '.join(reasons)}"
        )


def _growth(change: Change, *, quiet: bool) -> str:
    if quiet or not change.controlled:
        return f"{change.ratio.value:.2f} times"
    return f"{change.controlled.value:.2f} times over the others"


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of records, as `lnlattennet bench` writes it.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The page.")] = Path(
        "bench.html"
    ),
) -> None:
    """Make one HTML page of all records of a folder; it loads nothing else."""
    require("jinja2", "bench")
    from lnlattennet.benchmarks.report._page import render

    page = render(folder, shlex.join(["lnlattennet", "bench", "report", str(folder), "-o", str(output)]))
    with replace_file(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    typer.echo(output)


def _require_same_benchmark(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuse records whose times cannot be told apart from a change of the machine or of the question."""
    if old["benchmark"] != new["benchmark"]:
        raise RegressionError(
            f"two records can be compared if one benchmark wrote them; these are of {old['benchmark']!r} and "
            f"{new['benchmark']!r}"
        )
    if old.get("quick") != new.get("quick"):
        raise RegressionError(
            "two records can be compared if both are of a --quick run, or neither; one of them is"
        )
    machines = _machine(old), _machine(new)
    # Machines of different features and caches may have processors of the same name.
    for fact in ("name", "cpu", "cpus", "threads", "gpu", "cpu_flags", "last_level_cache_bytes"):
        before, after = (machine.get(fact) for machine in machines)
        if before != after:
            raise RegressionError(
                f"two records can be compared if one machine gave them; their {fact} is {before!r} and "
                f"{after!r}"
            )


def _machine(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the facts of a record's machine, of which the oldest records have but the name."""
    machine: Mapping[str, Any] | str = record.get("machine", {})
    return {"name": machine} if isinstance(machine, str) else machine
