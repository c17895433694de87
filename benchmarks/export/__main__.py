"""Duration of an export and of its steps, each export in a fresh process.

    python -m lnlattennet.benchmarks.export
    python -m lnlattennet.benchmarks.export --backend onnxruntime --backend openvino --precision auto

The steps are those that `export-engine -v` names: the reference in torch (computing), ONNX graphs
(exporting), calibrating, building, verifying and timing engines. What is left are imports, rendered faces and
files.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lnlattennet._statistics import median_interval
from lnlattennet.benchmarks.harness._command import DEMO, add_count, main, option_parser, report, say
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.harness._tables import aligned
from lnlattennet.bundle import read_manifest
from lnlattennet.bundle._export_options import ExportOptions
from lnlattennet.errors import LnlAttenNetError

EXPORT = "export-engine"
REST, WHOLE = "everything else", "the whole process"


def measure(options: ExportOptions, rounds: int) -> Record:
    """Export ``rounds`` times, each in a process of its own.

    Args:
        options: the export; its output is made and removed each time.
        rounds: number of exports.

    Raises:
        LnlAttenNetError: an export failed.
    """
    record = Record(benchmark="export")
    seconds: dict[str, list[float]] = {}
    build_seconds: dict[str, list[float]] = {}
    peaks: list[float] = []
    for number in range(rounds):
        say(f"export {number + 1} of {rounds}")
        for step, value in _export(options).items():
            seconds.setdefault(step, []).append(value)
        manifest = read_manifest(options.output)
        for engine in manifest.engines:
            build_seconds.setdefault(engine.name, []).append(engine.build_seconds)
        peaks.append(manifest.verification.peak_memory_mb)
    for step, values in seconds.items():
        record.add(ExperimentResult(step, {}, warm_results({EXPORT: values}, [1] * len(values))))
    record.facts = {"build_seconds": build_seconds, "peak_memory_mb": peaks}
    return record


def _export(options: ExportOptions) -> dict[str, float]:
    """Export once; return step -> seconds, the whole process last."""
    module = "lnlattennet.benchmarks.export._process"
    overwriting = options.model_copy(update={"force": True})
    command = [sys.executable, "-P", "-m", module, overwriting.model_dump_json()]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    whole = time.perf_counter() - start
    if done.returncode:
        raise LnlAttenNetError(f"the export of {options.checkpoint} failed:\n{done.stderr}")
    steps: dict[str, float] = json.loads(done.stdout)
    return steps | {REST: whole - sum(steps.values()), WHOLE: whole}


def export_tables(record: Record) -> str:
    """Return the seconds of every step and of every engine's build, and the peak memory."""
    steps = [("step", "seconds", "95% interval", "share")]
    whole = record.cases[-1].candidates[EXPORT].timings["warm"].median_us
    for case in record.cases:
        median, low, high = median_interval(case.candidates[EXPORT].timings["warm"].samples_us)
        interval = f"{low / 1e6:.1f} - {high / 1e6:.1f}"
        steps.append((case.name, f"{median / 1e6:.1f}", interval, f"{median / whole:.0%}"))
    engines = [("engine", "seconds to build")]
    engines += [(name, f"{np.median(values):.1f}") for name, values in record.facts["build_seconds"].items()]
    peak = f"peak memory of the exporting process: {np.median(record.facts['peak_memory_mb']):.0f} MB"
    return "\n\n".join([aligned(steps), aligned(engines), peak])


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; return the exit code."""
    parser = option_parser("export", __doc__ or "")
    parser.add_argument("-c", "--checkpoint", type=Path, default=DEMO, help=f"to export; default {DEMO}")
    parser.add_argument("--backend", action="append", default=[], help="as of export-engine; repeatable")
    parser.add_argument("--precision", action="append", default=[], help="as of export-engine; repeatable")
    add_count(parser, "--rounds", 3, 1, "exports")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        export = ExportOptions(
            checkpoint=options.checkpoint,
            output=Path(folder, "bundle"),
            backends=tuple(options.backend),
            precisions=tuple(options.precision),
        )
        record = measure(export, options.rounds)
    report(record, export_tables(record), options)
    return 0


if __name__ == "__main__":
    main(run)
