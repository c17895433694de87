"""The command `export-engine`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from lnlattennet._command import configure_logging, print_json, run_app
from lnlattennet.bundle._export_options import (
    AUTO,
    CalibrationOptions,
    ExportOptions,
    SelectionOptions,
    VerificationOptions,
)
from lnlattennet.errors import UsageError, require
from lnlattennet.export._parsing import parse_batch, parse_duration, parse_shapes
from lnlattennet.export.gate._limits import LIMITS
from lnlattennet.runtimes._base import BatchRange
from lnlattennet.runtimes._registry import BACKENDS
from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig

_DEFAULT_BATCH = "1:8:32"
_Texts = list[str] | None
_WHAT, _GATE, _CHOICE, _BUILDER, _RUN = "What to build", "Accuracy gate", "Selection", "TensorRT", "This run"


def _with_limit_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Replace ``**limits`` in a command's signature by the flags of the gate's registry."""
    signature = inspect.signature(command, eval_str=True)
    *parameters, _limits = signature.parameters.values()
    for name, (limit, _) in LIMITS.items():
        option = typer.Option(limit.flag, help=limit.help, rich_help_panel=_GATE)
        kind = list[str] | None if limit.per_output else float | None
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
            )
        )
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


@_with_limit_flags
def export_engine(
    checkpoint: Annotated[Path, typer.Option("--checkpoint", "-c", help="Checkpoint file (.safetensors).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write the bundle to.")],
    backend: Annotated[
        _Texts,
        typer.Option(
            help=f"auto, {', '.join(BACKENDS)}; repeatable. [default: auto]",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    precision: Annotated[
        _Texts,
        typer.Option(
            help="fp32, fp16, bf16, int8, fp8 or auto; repeatable. auto: every exact one that a backend has, "
            "and int8 in every block that passes the gate. [default: fp32]",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    precision_plan: Annotated[
        Path | None,
        typer.Option(
            help="Precision plan file: the precision of every block, as a search writes it.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(
            help=f"Batch sizes MIN:OPT:MAX, or one number. [default: {_DEFAULT_BATCH}]", rich_help_panel=_WHAT
        ),
    ] = None,
    min_shapes: Annotated[
        str | None,
        typer.Option(
            help="Smallest input shape, such as image:1x3x112x112, instead of --batch.", rich_help_panel=_WHAT
        ),
    ] = None,
    opt_shapes: Annotated[
        str | None,
        typer.Option(help="Optimal input shape, such as image:8x3x112x112.", rich_help_panel=_WHAT),
    ] = None,
    max_shapes: Annotated[
        str | None,
        typer.Option(help="Largest input shape, such as image:32x3x112x112.", rich_help_panel=_WHAT),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Folder of face images to calibrate int8 and fp8 with. [default: rendered faces]",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    calibration_faces: Annotated[
        int, typer.Option(help="Faces to calibrate with.", rich_help_panel=_WHAT)
    ] = 256,
    calibration_method: Annotated[
        str, typer.Option(help="Calibration method: minmax, percentile or entropy.", rich_help_panel=_WHAT)
    ] = "minmax",
    verification_faces: Annotated[
        int, typer.Option(help="Rendered faces to compare engines on.", rich_help_panel=_GATE)
    ] = 256,
    data: Annotated[
        str | None,
        typer.Option(
            help="Labeled faces for the accuracy check: a data set's path, or synthetic.",
            rich_help_panel=_GATE,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Dataset split used for the accuracy check. [default: test, else val]", rich_help_panel=_GATE
        ),
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            help="Selection strategy: min-latency, max-throughput or latency-budget.", rich_help_panel=_CHOICE
        ),
    ] = "min-latency",
    latency_budget: Annotated[
        str | None,
        typer.Option(help="Longest median latency of a call, such as 5ms.", rich_help_panel=_CHOICE),
    ] = None,
    timing_cache: Annotated[
        Path | None,
        typer.Option(help="File of kernel timings, reused between builds.", rich_help_panel=_BUILDER),
    ] = None,
    builder_optimization_level: Annotated[
        int | None,
        typer.Option(
            help="Builder optimization level: 0 (fast build) to 5 (fast engine).", rich_help_panel=_BUILDER
        ),
    ] = None,
    hardware_compatibility_level: Annotated[
        str,
        typer.Option(
            help="GPUs that the engine also runs on: none, ampere+ or same-compute-capability.",
            rich_help_panel=_BUILDER,
        ),
    ] = "none",
    version_compatible: Annotated[
        bool,
        typer.Option(
            "--version-compatible",
            help="Build engines that later TensorRT versions run too.",
            rich_help_panel=_BUILDER,
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite an existing bundle.", rich_help_panel=_RUN)
    ] = False,
    allow_pickle: Annotated[
        bool,
        typer.Option("--allow-pickle", help="Accept a pickled training checkpoint.", rich_help_panel=_RUN),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Check the options and print the plan; build nothing.", rich_help_panel=_RUN
        ),
    ] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the report as one JSON document.", rich_help_panel=_RUN)
    ] = False,
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Increase log verbosity.", rich_help_panel=_RUN)
    ] = 0,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.", rich_help_panel=_RUN)
    ] = False,
    **limits: Any,
) -> None:
    """Turn a checkpoint into a bundle of verified engines.

    Builds an engine per runtime and precision, compares every output with the checkpoint in PyTorch, times
    the engines that pass in one interleaved run, and writes the bundle only if at least one passed.
    """
    configure_logging(verbose, quiet)
    options = ExportOptions(
        checkpoint=checkpoint,
        output=output,
        batch=_batch(batch, [min_shapes, opt_shapes, max_shapes], checkpoint, allow_pickle),
        backends=_backends(backend or []),
        precisions=tuple(precision or ()),
        plan_file=precision_plan,
        calibration=CalibrationOptions(
            images=calibration, faces=calibration_faces, method=calibration_method
        ),
        verification=VerificationOptions(
            faces=verification_faces,
            data=data,
            split=split,
            limits={name: value for name, value in limits.items() if value is not None},
        ),
        selection=SelectionOptions(
            strategy=strategy,
            budget_ms=parse_duration("--latency-budget", latency_budget) if latency_budget else None,
        ),
        builder=TensorRTBuilderConfig(
            timing_cache=timing_cache,
            optimization_level=builder_optimization_level,
            hardware_compatibility=hardware_compatibility_level,
            version_compatible=version_compatible,
        ),
        force=force,
        allow_pickle=allow_pickle,
    )
    _run(options, dry_run, json_output)


def main() -> None:
    """Entry point of the console script."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(export_engine)
    run_app(app)


def _run(options: ExportOptions, dry_run: bool, json_output: bool) -> None:
    require("torch", "export")
    from lnlattennet.bundle._manifest import read_manifest
    from lnlattennet.export._console import print_manifest, print_plan
    from lnlattennet.export._pipeline import export_engine
    from lnlattennet.export._plan import plan_export

    if dry_run:
        plan = plan_export(options)
        print_json(plan.to_json()) if json_output else print_plan(plan)
    else:
        report = export_engine(options)
        print_json(report) if json_output else print_manifest(read_manifest(options.output))


def _batch(batch: str | None, shapes: list[str | None], checkpoint: Path, allow_pickle: bool) -> BatchRange:
    named = [shape for shape in shapes if shape is not None]
    if not named:
        return parse_batch(batch or _DEFAULT_BATCH)
    if batch is not None or len(named) != len(shapes):
        raise UsageError(
            "give either --batch MIN:OPT:MAX, or all three of --min-shapes, --opt-shapes and --max-shapes"
        )
    require("torch", "export")
    from lnlattennet.model._checkpoint import load_checkpoint

    size = load_checkpoint(checkpoint, allow_pickle=allow_pickle).info.config.image_size
    return parse_shapes(named, size)


def _backends(names: list[str]) -> tuple[str, ...]:
    if AUTO in names and len(names) > 1:
        raise UsageError(
            "--backend auto already means every backend that is installed; name others without it"
        )
    return () if names == [AUTO] else tuple(names)
