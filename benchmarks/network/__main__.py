"""The whole network as an AOTInductor package with the fused op, against its rivals, in one interleaved run.

    python -m lnlattennet.benchmarks.network                       # CPU: a rehearsal
    python -m lnlattennet.benchmarks.network --device cuda --json  # GPU; one JSON document on stdout

Rivals: torch eager, `torch.compile` in its max-autotune mode, ONNX Runtime and TensorRT or TensorRT-RTX; one
that cannot be had is named in the record with its reason. Outputs are compared with the float32 network
first; then all take turns in random order, and every sample is kept. On a GPU each is a CUDA graph, timed by
events, with images and outputs on the GPU. Weights are random: no file is needed. Needs torch and numpy;
ONNX Runtime and TensorRT need this project's `export` extra too.

Exit codes: 0 measured, 1 AOTInductor failed or is wrong, 2 bad usage, 4 no such device, 5 a required ratio
is unsteady. Whether a ratio is reached is printed, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from lnlattennet.benchmarks.attention._measure import Settings
from lnlattennet.benchmarks.attention._tables import requirement_table
from lnlattennet.benchmarks.harness import _command as bare_command
from lnlattennet.benchmarks.harness._command import say
from lnlattennet.benchmarks.harness._record import (
    choose_cases,
    measured_record,
    option_parser,
    print_record,
    read_options,
    steadiness_code,
)
from lnlattennet.benchmarks.network._cases import EngineCase, engine_cases
from lnlattennet.benchmarks.network._measure import measure_engines
from lnlattennet.benchmarks.network._tables import cases_without_aoti, engine_requirement_rows, engine_table
from lnlattennet.model._config import NetworkConfig

_PACKAGES = ("triton", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt_rtx", "onnx")


def torch_engines_record(
    settings: Settings, cases: Sequence[EngineCase], config: NetworkConfig, output: Path | None
) -> dict[str, Any]:
    """Measure cases; see ``measured_record``."""
    facts = {
        "benchmark": "torch-engines",
        "network": config.to_dict() | {"weights": "random"},
        "packages": _versions(),
    }
    return measured_record(
        facts,
        settings,
        lambda record: measure_engines(settings, cases, config, record),
        engine_requirement_rows,
        output,
    )


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write what the command line asks for; return the exit code."""
    parser = option_parser("lnlattennet.benchmarks.network", __doc__ or "", "fp16/*")
    options, settings = read_options(parser, arguments)
    cases = choose_cases(engine_cases(options.device), options.case)
    record = torch_engines_record(settings, cases, NetworkConfig(), options.output)
    print_record(record, f"{engine_table(record)}\n\n{requirement_table(record)}\n", options)
    return exit_code(record)


def exit_code(record: dict[str, Any]) -> int:
    """Say what went wrong; return 1 if AOTInductor failed in a case, 5 if a ratio is unsteady, else 0."""
    failures = cases_without_aoti(record)
    if failures:
        say(f"error: AOTInductor was not measured; {'; '.join(failures)}")
        return 1
    return steadiness_code(record)


def _versions() -> dict[str, str]:
    """Return the versions of what rivals need beside torch, as far as it is installed."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


if __name__ == "__main__":
    bare_command.main(run)
