"""A bundle's engine against torch, ONNX Runtime and OpenVINO int8 made by hand, in one interleaved run.

    python -m lnlattennet.benchmarks.bundle                            # exports the demo checkpoint first
    python -m lnlattennet.benchmarks.bundle --bundle build/auto --json

Every rival lives in a process of its own and takes turns with the others in random order; every sample is
kept. Answers are compared on held-out rendered faces. Whether a ratio is reached is printed, and decides
nothing.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from lnlattennet import __version__
from lnlattennet._atomic import replace_file
from lnlattennet._command import configure_logging, print_json, run_app
from lnlattennet._console import stdout
from lnlattennet._statistics import median_interval, ratio_interval
from lnlattennet.benchmarks.bundle._accuracy import LABELLED_FACES, accuracy_rows, labelled_faces
from lnlattennet.benchmarks.bundle._candidates import (
    EAGER,
    NNCF,
    ONNX_RUNTIME,
    OURS,
    Faces,
    Logits,
    bundle_engine,
    onnxruntime_defaults,
    openvino_nncf,
    quantize_with_nncf,
    torch_eager,
)
from lnlattennet.benchmarks.harness._hardware import machine_facts
from lnlattennet.bundle._bundle import Bundle, hash_file
from lnlattennet.errors import UsageError
from lnlattennet.export._options import ExportOptions
from lnlattennet.export._pipeline import export_engine
from lnlattennet.export.selection._timing import time_in_turns, usable_threads

DEMO = Path("checkpoints/demo.safetensors")
BATCHES = (1, 8)
REQUIRED = {EAGER: 4.0, ONNX_RUNTIME: 2.5, NNCF: 0.95}
"""How many times as long as the bundle's engine a rival must take."""
MIN_AGREEMENT, MAX_ACCURACY_DROP = 0.99, 0.005
STARTS = 5
"""Processes of every rival, one after the other."""

_Rivals = dict[str, tuple[Callable[..., Logits], list[Any]]]


def engines_record(
    bundle: Path, checkpoint: Path, threads: int, rounds: int, labelled: int, scratch: Path
) -> dict[str, Any]:
    """Measure a bundle's selected engine beside its rivals.

    Args:
        bundle: made from ``checkpoint``.
        checkpoint: what torch runs.
        threads: of every rival.
        rounds: counted calls of every rival at every batch size.
        labelled: held-out rendered faces to compare answers on.
        scratch: a folder for the model that NNCF makes.

    Raises:
        UsageError: the bundle was made from another checkpoint.
    """
    opened = Bundle.load(bundle)
    if opened.manifest.checkpoint_sha256 != hash_file(checkpoint).sha256:
        raise UsageError(f"{bundle} was not exported from {checkpoint}: their ratios would mean nothing")
    by_hand = quantize_with_nncf(bundle, opened.manifest, scratch / "nncf.xml")
    rivals: _Rivals = {
        OURS: (bundle_engine, [str(bundle), threads]),
        EAGER: (torch_eager, [str(checkpoint), threads]),
        ONNX_RUNTIME: (onnxruntime_defaults, [str(bundle), threads]),
        NNCF: (openvino_nncf, [str(by_hand), threads]),
    }
    faces, labels = labelled_faces(labelled, opened.manifest.preprocessing, usable_threads())
    functions = {
        name: (f"{make.__module__}:{make.__name__}", given) for name, (make, given) in rivals.items()
    }
    samples = _samples(functions, faces, rounds, scratch)
    answers = accuracy_rows({name: make(*given) for name, (make, given) in rivals.items()}, faces, labels)
    return {
        "benchmark": "engines",
        "lnlattennet": __version__,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_facts("cpu"),
        "threads": threads,
        "starts": STARTS,
        "engine": opened.manifest.engine(opened.manifest.selected).model_dump(mode="json"),
        "selected_because": opened.manifest.selected_because,
        "export": {key: opened.manifest.verification[key] for key in ("seconds", "peak_memory_mb")},
        "answers": {"faces": labelled, "of": "rendered, held out"} | answers,
        "summary": [_summary(batch, values) for batch, values in samples.items()],
        "requirements": _requirements(samples, answers[OURS]),
        "samples_ms": {
            str(batch): {name: [round(value, 4) for value in values] for name, values in rows.items()}
            for batch, rows in samples.items()
        },
    }


def _samples(
    functions: dict[str, tuple[str, list[Any]]], faces: Faces, rounds: int, scratch: Path
) -> dict[int, dict[str, list[float]]]:
    """Return batch size -> rival -> milliseconds, from several processes of each rival.

    A new process lays its memory out anew, which alone makes an engine some percent faster or slower.
    """
    samples: dict[int, dict[str, list[float]]] = {
        batch: {name: [] for name in functions} for batch in BATCHES
    }
    for _ in range(STARTS):
        timed = time_in_turns(functions, faces, BATCHES, max(1, rounds // STARTS), scratch)
        for batch in BATCHES:
            for name, sizes in timed.items():
                samples[batch][name] += sizes[batch]
    return samples


def _summary(batch: int, samples: dict[str, list[float]]) -> dict[str, Any]:
    rows = {}
    for name, values in samples.items():
        median, low, high = median_interval(values)
        ratio = ratio_interval(values, samples[OURS])
        rows[name] = {"median_ms": median, "low_ms": low, "high_ms": high, "over_ours": ratio}
    return {"batch": batch, "rivals": rows}


def _requirements(
    samples: dict[int, dict[str, list[float]]], answers: dict[str, Any]
) -> list[dict[str, Any]]:
    rows = []
    for batch, values in samples.items():
        for name, bound in REQUIRED.items():
            ratio, low, high = ratio_interval(values[name], values[OURS])
            rows.append(
                {"text": f"{name}, batch {batch}: time over ours", "bound": f">= {bound:g}", "value": ratio,
                 "low": low, "high": high, "reached": ratio >= bound}
            )  # fmt: skip
    agreement, drop = answers["top1_agreement"], answers["accuracy_drop"]
    rows.append(
        {"text": "top-1 agreement with torch", "bound": f">= {MIN_AGREEMENT:g}", "value": agreement,
         "reached": agreement >= MIN_AGREEMENT}
    )  # fmt: skip
    rows.append(
        {"text": "accuracy lost against torch", "bound": f"<= {MAX_ACCURACY_DROP:g}", "value": drop,
         "reached": drop <= MAX_ACCURACY_DROP}
    )  # fmt: skip
    return rows


def print_record(record: dict[str, Any]) -> None:
    """Print a record's medians, ratios and requirements."""
    title = f"{record['engine']['name']}, {record['threads']} threads, every rival in a process of its own"
    table = Table(
        "batch", "rival", "median ms", "95% interval", "time over ours", "95% interval", title=title
    )
    for row in record["summary"]:
        for name, found in row["rivals"].items():
            ratio, low, high = found["over_ours"]
            table.add_row(
                str(row["batch"]), name, f"{found['median_ms']:.2f}",
                f"{found['low_ms']:.2f} - {found['high_ms']:.2f}", f"{ratio:.2f}", f"{low:.2f} - {high:.2f}",
            )  # fmt: skip
    stdout().print(table)
    wanted = Table("required", "bound", "measured", "95% interval", "status")
    for row in record["requirements"]:
        interval = f"{row['low']:.2f} - {row['high']:.2f}" if "low" in row else ""
        status = "reached" if row["reached"] else "missed"
        wanted.add_row(row["text"], row["bound"], f"{row['value']:.4g}", interval, status)
    stdout().print(wanted)


@contextmanager
def _bundle(given: Path | None, checkpoint: Path) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "auto"
        export_engine(ExportOptions(checkpoint=checkpoint, output=output, precisions=("auto",)))
        yield output


def engines(
    bundle: Annotated[
        Path | None, typer.Option(help="Of the checkpoint. [default: one exported with --precision auto]")
    ] = None,
    checkpoint: Annotated[Path, typer.Option("--checkpoint", "-c")] = DEMO,
    threads: Annotated[int, typer.Option(min=1, help="Of every rival.")] = usable_threads(),
    rounds: Annotated[int, typer.Option(min=10, help="Counted calls of every rival.")] = 300,
    faces: Annotated[int, typer.Option(min=8, help="Held-out faces to compare answers on.")] = LABELLED_FACES,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the record here.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Measure a bundle's engine against torch, ONNX Runtime and OpenVINO int8 made by hand."""
    configure_logging(0, quiet=False)
    started = time.perf_counter()
    with _bundle(bundle, checkpoint) as folder, tempfile.TemporaryDirectory() as scratch:
        record = engines_record(folder, checkpoint, threads, rounds, faces, Path(scratch))
    record["seconds"] = round(time.perf_counter() - started, 1)
    if output:
        with replace_file(output) as draft:
            draft.write_text(json.dumps(record) + "\n", encoding="utf-8")
    print_json(record) if json_output else print_record(record)


def main() -> None:
    """Entry point of ``python -m lnlattennet.benchmarks.bundle``."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(engines)
    run_app(app)


if __name__ == "__main__":
    main()
