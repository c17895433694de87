"""What `export-engine` prints for people."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from lnlattennet._console import stdout


def print_plan(plan: dict[str, Any]) -> None:
    """Print what an export would build (`--dry-run`)."""
    table = Table("engine", "what happens", title=f"{plan['checkpoint']} -> {plan['output']}")
    for build in plan["build"]:
        versions = ", ".join(f"{name} {version}" for name, version in build["versions"].items())
        search = "; blocks that fail the gate stay in fp32" if build["search"] else ""
        cannot_run = f"; built, not run: {build['cannot_run']}" if build["cannot_run"] else ""
        table.add_row(build["engine"], f"build ({versions}){search}{cannot_run}")
    for item in plan["left_out"]:
        table.add_row(_name(item), f"leave out: {item['reason']}")
    console = stdout()
    console.print(table)
    console.print(f"batch {plan['batch']}, verified at {plan['verified_batches']}; nothing was built")


def print_report(report: dict[str, Any]) -> None:
    """Print what an export built, how it was judged and what serves."""
    table = Table(
        "engine", "outcome", "same answer", "mean KL", "max |Δ logits|", "median ms by batch", title="engines"
    )
    tries = report["verification"]["plans_tried"]
    for engine in report["engines"]:
        latency = ", ".join(f"{item['batch']}: {item['median_ms']:.2f}" for item in engine["latency"])
        outcome = engine["status"] + (f": {engine['reason']}" if engine["reason"] else "")
        if engine["name"] in tries:
            blocks = [name for name, precision in engine["plan"].items() if precision == engine["precision"]]
            outcome += f", {engine['precision']} in {', '.join(blocks)} only"
        table.add_row(
            engine["name"],
            outcome,
            _value(engine, "top1_agreement", "{:.1%}"),
            _value(engine, "kl", "{:.1e}"),
            _value(engine, "max_abs", "{:.1e}"),
            latency or "-",
        )
    for item in report["left_out"]:
        table.add_row(_name(item), f"left out: {item['reason']}", "-", "-", "-", "-")
    console = stdout()
    console.print(table)
    console.print(f"selected: {report['selected']}: {report['selected_because']}")


def _name(left_out: dict[str, Any]) -> str:
    return "-".join(filter(None, (left_out["backend"], left_out["precision"])))


def _value(engine: dict[str, Any], metric: str, form: str) -> str:
    for check in engine["checks"]:
        if check["metric"] == metric and check["output"] == "logits":
            return form.format(check["value"])
    return "-"
