"""The command `export-engine`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from lnlattennet._cli_options import HELP_FLAGS, AllowPickle, Faces, Quiet, Verbose, Version
from lnlattennet._command import configure_logging, print_json, run_app
from lnlattennet.bundle._export_options import (
    AUTO,
    MAX_FACES,
    MIN_FACES,
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
_FACES = f"{MIN_FACES} to {MAX_FACES}"
_Text = str | None
_Texts = list[str] | None
_engines, _gate, _selection, _builder, _run = (
    partial(typer.Option, rich_help_panel=title)
    for title in ("What to build", "Accuracy gate", "Selection", "TensorRT", "This run")
)


def _with_limit_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Replace ``**limits`` in a command's signature by the flags of the gate's registry."""
    signature = inspect.signature(command, eval_str=True)
    *parameters, _limits = signature.parameters.values()
    for name, (limit, _) in LIMITS.items():
        option = _gate(limit.flag, help=limit.help)
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
        _Texts, _engines(help=f"auto, {', '.join(BACKENDS)}; repeatable. [default: auto]")
    ] = None,
    precision: Annotated[
        _Texts,
        _engines(
            help="fp32, fp16, bf16, int8, fp8 or auto; repeatable. auto: every exact one that a backend has, "
            "and int8 in every block that passes the gate. [default: fp32]"
        ),
    ] = None,
    precision_plan: Annotated[
        Path | None,
        _engines(help="Precision plan file: the precision of every block, as a search writes it."),
    ] = None,
    batch: Annotated[
        _Text, _engines(help=f"Batch sizes MIN:OPT:MAX, or one number. [default: {_DEFAULT_BATCH}]")
    ] = None,
    min_shapes: Annotated[
        _Text, _engines(help="Smallest input shape, such as image:1x3x112x112, instead of --batch.")
    ] = None,
    opt_shapes: Annotated[_Text, _engines(help="Optimal input shape, such as image:8x3x112x112.")] = None,
    max_shapes: Annotated[_Text, _engines(help="Largest input shape, such as image:32x3x112x112.")] = None,
    calibration: Annotated[
        Path | None,
        _engines(help="Folder of face images to calibrate int8 and fp8 with. [default: rendered faces]"),
    ] = None,
    calibration_faces: Annotated[int, _engines(help=f"Faces to calibrate with, {_FACES}.")] = 256,
    calibration_method: Annotated[
        str, _engines(help="Calibration method: minmax, percentile or entropy.")
    ] = "minmax",
    verification_faces: Annotated[int, _gate(help=f"Rendered faces to compare engines on, {_FACES}.")] = 256,
    data: Annotated[
        _Text, _gate(help="Labeled faces for the accuracy check: a data set's path, or synthetic.")
    ] = None,
    split: Annotated[
        _Text, _gate(help="Dataset split used for the accuracy check. [default: test, else val]")
    ] = None,
    faces: Faces = "auto",
    strategy: Annotated[
        str, _selection(help="Selection strategy: min-latency, max-throughput or latency-budget.")
    ] = "min-latency",
    latency_budget: Annotated[
        _Text, _selection(help="Longest median latency of a call, such as 5ms.")
    ] = None,
    timing_cache: Annotated[
        Path | None, _builder(help="File of kernel timings, reused between builds.")
    ] = None,
    builder_optimization_level: Annotated[
        int | None, _builder(help="Builder optimization level: 0 (fast build) to 5 (fast engine).")
    ] = None,
    hardware_compatibility_level: Annotated[
        str, _builder(help="GPUs that the engine also runs on: none, ampere+ or same-compute-capability.")
    ] = "none",
    version_compatible: Annotated[
        bool,
        _builder("--version-compatible", help="Build engines that later TensorRT versions run too."),
    ] = False,
    force: Annotated[bool, _run("--force", help="Overwrite an existing bundle.")] = False,
    allow_pickle: AllowPickle = False,
    dry_run: Annotated[
        bool, _run("--dry-run", help="Check the options and print the plan; build nothing.")
    ] = False,
    json_output: Annotated[bool, _run("--json", help="Print the report as one JSON document.")] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    version: Version = False,
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
        faces=faces,
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
            budget_ms=None if latency_budget is None else parse_duration(latency_budget),
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


def main() -> NoReturn:
    """Entry point of the console script."""
    app = typer.Typer(context_settings=HELP_FLAGS, pretty_exceptions_enable=False)
    app.command()(export_engine)
    run_app(app)


def _batch(batch: str | None, shapes: list[str | None], checkpoint: Path, allow_pickle: bool) -> BatchRange:
    named = [shape for shape in shapes if shape is not None]
    if not named:
        return parse_batch(_DEFAULT_BATCH if batch is None else batch)
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
