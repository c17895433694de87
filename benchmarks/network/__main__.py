"""The whole network as an AOTInductor package with the fused op, beside other runtimes, interleaved.

    python -m lnlattennet.benchmarks.network                       # CPU: a rehearsal
    python -m lnlattennet.benchmarks.network --device cuda --json  # GPU; one JSON document on stdout

Other candidates: torch eager, `torch.compile` in its max-autotune mode, ONNX Runtime and TensorRT or
TensorRT-RTX; one that cannot be had is named in the record with its reason. Outputs are compared with the
float32 network first; then all take turns in random order, and every sample is kept. On a GPU each is a CUDA
graph, timed by events, with images and outputs on the GPU. Weights are random: no file is needed. Needs torch
and numpy; ONNX Runtime and TensorRT need this project's `export` extra too.

Exit codes: 0 measured, 1 AOTInductor failed or is wrong, 2 bad usage, 4 no such device, 5 a required ratio
is unsteady. Whether a ratio is reached is printed, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from lnlattennet.benchmarks.harness._command import main, report, say
from lnlattennet.benchmarks.harness._experiment import (
    case_parser,
    choose_cases,
    read_settings,
    steadiness_code,
)
from lnlattennet.benchmarks.harness._record import Record
from lnlattennet.benchmarks.harness._tables import requirement_table, timing_table
from lnlattennet.benchmarks.network._cases import network_cases
from lnlattennet.benchmarks.network._measure import measure
from lnlattennet.benchmarks.network._torch_candidates import AOTI
from lnlattennet.model._config import NetworkConfig


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write what the command line asks for; return the exit code."""
    options = case_parser("network", __doc__ or "", "fp16/*").parse_args(arguments)
    cases = choose_cases(network_cases(options.device), options.case)
    record = measure(read_settings(options), cases, NetworkConfig(), options.output)
    report(record, f"{timing_table(record, AOTI)}\n\n{requirement_table(record.requirements)}", options)
    return exit_code(record)


def exit_code(record: Record) -> int:
    """Say what went wrong; return 1 if AOTInductor failed in a case, 5 if a ratio is unsteady, else 0."""
    failures = [(case.name, case.candidates[AOTI].failed) for case in record.cases]
    reasons = [f"{name}: {failed}" for name, failed in failures if failed]
    if reasons:
        say(f"error: AOTInductor was not measured; {'; '.join(reasons)}")
        return 1
    return steadiness_code(record)


if __name__ == "__main__":
    main(run)
