"""The command `export-engine`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from lnlattennet.command import configure_logging, print_json, printable, run_app, stdout
from lnlattennet.errors import UsageError, require
from lnlattennet.export.backends.base import BatchRange
from lnlattennet.export.options import (
    DEFAULT_ATOL,
    ExportOptions,
    parse_batch,
    parse_shapes,
    parse_tolerances,
)
from lnlattennet.model.names import OUTPUT_NAMES

_DEFAULT_BATCH = "1:8:32"


def export_engine(
    checkpoint: Annotated[Path, typer.Option("--checkpoint", "-c", help="Checkpoint file (.safetensors).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the bundle.")],
    batch: Annotated[
        str | None, typer.Option(help=f"Batch sizes MIN:OPT:MAX, or one number. [default: {_DEFAULT_BATCH}]")
    ] = None,
    min_shapes: Annotated[str | None, typer.Option(help="As image:1x3x112x112, instead of --batch.")] = None,
    opt_shapes: Annotated[str | None, typer.Option(help="As image:8x3x112x112, instead of --batch.")] = None,
    max_shapes: Annotated[str | None, typer.Option(help="As image:32x3x112x112, instead of --batch.")] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(help="auto, onnxruntime, openvino or tensorrt; repeatable. [default: auto]"),
    ] = None,
    atol: Annotated[
        list[str] | None, typer.Option(help="Largest difference allowed, [OUTPUT:]VALUE; repeatable.")
    ] = None,
    rtol: Annotated[
        list[str] | None, typer.Option(help="More, as a share of the value, [OUTPUT:]VALUE; repeatable.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the bundle that is in the way.")] = False,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Accept a pickled training checkpoint.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and print the plan; build nothing.")
    ] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the report as one JSON document.")
    ] = False,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Show detail.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
) -> None:
    """Turn a checkpoint into a bundle of verified engines.

    Builds one engine per runtime, compares every output with the checkpoint in torch, times those that
    pass in one interleaved run, and writes the bundle only if at least one passed.
    """
    configure_logging(verbose, quiet)
    require("torch", "export")
    from lnlattennet.export import engine_export

    options = ExportOptions(
        checkpoint=checkpoint,
        output=output,
        batch=_batch(batch, [min_shapes, opt_shapes, max_shapes], checkpoint, allow_pickle),
        backends=_backends(backend or []),
        atol=parse_tolerances("--atol", atol or [], DEFAULT_ATOL),
        rtol=parse_tolerances("--rtol", rtol or [], dict.fromkeys(OUTPUT_NAMES, 0.0)),
        force=force,
        allow_pickle=allow_pickle,
        command=("export-engine", *map(printable, sys.argv[1:])),
    )
    if dry_run:
        document = engine_export.plan_export(options)
        print_json(document) if json_output else _print_plan(document)
        return
    document = engine_export.export_engine(options)
    print_json(document) if json_output else _print_report(document)


def main() -> None:
    """Entry point of the console script."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(export_engine)
    run_app(app)


def _batch(batch: str | None, shapes: list[str | None], checkpoint: Path, allow_pickle: bool) -> BatchRange:
    given = [shape for shape in shapes if shape is not None]
    if not given:
        return parse_batch(batch or _DEFAULT_BATCH)
    if batch is not None or len(given) != len(shapes):
        raise UsageError(
            "give either --batch MIN:OPT:MAX, or all three of --min-shapes, --opt-shapes and --max-shapes"
        )
    from lnlattennet.model.checkpoint import load_checkpoint

    size = load_checkpoint(checkpoint, allow_pickle=allow_pickle).info.config.image_size
    return parse_shapes(given, size)


def _backends(names: list[str]) -> tuple[str, ...]:
    if "auto" in names and len(names) > 1:
        raise UsageError(
            "--backend auto already means every backend that is installed; name others without it"
        )
    return () if names == ["auto"] else tuple(names)


def _print_plan(plan: dict[str, Any]) -> None:
    table = Table("backend", "what happens", title=f"{plan['checkpoint']} -> {plan['output']}")
    for build in plan["build"]:
        versions = ", ".join(f"{name} {version}" for name, version in build["versions"].items())
        cannot_run = f"; built, not run: {build['cannot_run']}" if build["cannot_run"] else ""
        table.add_row(build["backend"], f"build ({versions}){cannot_run}")
    for skip in plan["skip"]:
        table.add_row(skip["backend"], f"leave out: {skip['reason']}")
    console = stdout()
    console.print(table)
    console.print(f"batch {plan['batch']}, verified at {plan['verified_batches']}; nothing was built")


def _print_report(report: dict[str, Any]) -> None:
    table = Table("engine", "outcome", "max |Δ logits|", "median latency by batch", title="engines")
    for engine in report["engines"]:
        logits = engine["checks"].get("logits")
        latency = ", ".join(f"{item['batch']}: {item['median_ms']:.2f} ms" for item in engine["latency"])
        outcome = engine["status"] + (f": {engine['reason']}" if engine["reason"] else "")
        table.add_row(engine["name"], outcome, f"{logits['max_abs']:.1e}" if logits else "-", latency or "-")
    for skip in report["skipped"]:
        table.add_row(skip["backend"], f"left out: {skip['reason']}", "-", "-")
    console = stdout()
    console.print(table)
    console.print(f"selected: {report['selected']}: {report['selected_because']}")
