"""OpenVINO's own figure for an engine: `benchmark_app`, a tool that its package brings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from lnlattennet.bundle._engine import why_not_here
from lnlattennet.bundle._manifest import EngineRecord, Manifest
from lnlattennet.errors import LnlAttenNetError
from lnlattennet.runtimes._openvino import float_precision, import_openvino

_PROGRAM = """
import sys
from lnlattennet.runtimes._openvino import import_openvino
import_openvino()
from openvino.tools.benchmark.main import main
sys.exit(main())
"""


def openvino_engine(manifest: Manifest) -> EngineRecord | None:
    """Return the engine that serves if OpenVINO runs it, else the first one that it runs here, or None."""
    if why_not_here("openvino"):
        return None
    engines = [engine for engine in manifest.engines if engine.backend == "openvino" and engine.checks]
    return min(engines, key=lambda engine: engine.name != manifest.selected, default=None)


def benchmark_app(model: Path, shape: tuple[int, ...], threads: int, calls: int, scratch: Path) -> float:
    """Return the median milliseconds of calls one after the other, on random input that is not counted.

    Args:
        model: OpenVINO's `.xml` file.
        shape: of the input, [B, 3, S, S].
        threads: number of threads.
        calls: number of calls.
        scratch: folder for temporary files.

    Raises:
        LnlAttenNetError: the tool failed.
    """
    precision = float_precision(import_openvino().Core().read_model(model))
    options = {
        "-m": model, "-d": "CPU", "-api": "sync", "-hint": "none", "-nstreams": 1, "-nthreads": threads,
        "-infer_precision": precision, "-niter": calls, "-shape": str(list(shape)).replace(" ", ""),
        "-report_type": "no_counters", "-report_folder": scratch,
    }  # fmt: skip
    arguments = [str(word) for option in options.items() for word in option]
    command = [sys.executable, "-P", "-c", _PROGRAM, *arguments, "-json_stats"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LnlAttenNetError(f"OpenVINO's benchmark_app failed on {model}:\n{done.stdout}{done.stderr}")
    report = json.loads((scratch / "benchmark_report.json").read_text())
    return float(report["execution_results"]["latency (ms)"])
