"""Human-readable output of `export-engine`."""

from __future__ import annotations

from lnlattennet._console import Table, stdout
from lnlattennet.bundle._manifest import EngineRecord, Manifest
from lnlattennet.export._plan import ExportPlan
from lnlattennet.export.gate._check import batch_sizes


def print_plan(plan: ExportPlan) -> None:
    """Print the plan of an export (`--dry-run`)."""
    options = plan.options
    table = Table("engine", "action", title=f"{options.checkpoint} -> {options.output}")
    for job in plan.jobs:
        versions = ", ".join(f"{name} {version}" for name, version in job.available.versions.items())
        search = f"; blocks that fail the gate run in {' or '.join(job.fallbacks)}" if job.search else ""
        blocker = job.available.run_blocker
        table.add_row(
            job.name, f"build ({versions}){search}" + (f"; built, not run: {blocker}" if blocker else "")
        )
    for engine in plan.skipped:
        table.add_row(engine.name, f"skip: {engine.reason}")
    console = stdout()
    console.print(table)
    console.print(f"batch {options.batch}, verified at {batch_sizes(options.batch)}; nothing was built")


def print_manifest(manifest: Manifest) -> None:
    """Print the engines of an export, their checks and latencies, and the selected one."""
    table = Table(
        "engine", "outcome", "same answer", "mean KL", "max |Δ logits|", "median ms by batch", title="engines"
    )
    for engine in manifest.engines:
        latency = ", ".join(f"{item.batch}: {item.median_ms:.2f}" for item in engine.latency)
        outcome = engine.status + (f": {engine.reason}" if engine.reason else "")
        if engine.name in manifest.verification.plans_tried:
            blocks = [name for name, precision in engine.plan.items() if precision == engine.precision]
            outcome += f", {engine.precision} in {', '.join(blocks)} only"
        table.add_row(
            engine.name,
            outcome,
            _value(engine, "top1_agreement", "{:.1%}"),
            _value(engine, "kl", "{:.1e}"),
            _value(engine, "max_abs", "{:.1e}"),
            latency or "-",
        )
    for skipped in manifest.skipped:
        table.add_row(skipped.name, f"skipped: {skipped.reason}", "-", "-", "-", "-")
    console = stdout()
    console.print(table)
    console.print(f"selected: {manifest.selected}: {manifest.selected_because}")


def _value(engine: EngineRecord, metric: str, form: str) -> str:
    for check in engine.checks:
        if check.metric == metric and check.output == "logits":
            return form.format(check.value)
    return "-"
