"""Experiments of a benchmark: choice of the cases, settings of the measurement, and its time limit."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from lnlattennet.benchmarks.harness._command import (
    add_cases,
    add_count,
    choose_names,
    option_parser,
    say,
)
from lnlattennet.benchmarks.harness._counters import counter_states
from lnlattennet.benchmarks.harness._hardware import last_level_cache
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, RequirementResult
from lnlattennet.errors import LnlAttenNetError, UnavailableError
from lnlattennet.kernels._loader import compiled_target

UNSTEADY_EXIT_CODE = 5
"""Exit code of a benchmark whose figures cannot be relied on."""

Outputs = Sequence[Tensor]


class Case(Protocol):
    """Configuration of one experiment."""

    @property
    def name(self) -> str:
        """Name in ``--case`` and in records."""


C = TypeVar("C", bound=Case)


@dataclass(frozen=True)
class Settings:
    """Device, threads and rounds.

    Attributes:
        device: "cpu" or "cuda".
        threads: number of torch's threads.
        quick: few rounds, and few inputs in rotation.
        time_limit: seconds; no case except the first is begun that might not end by then.
    """

    device: str
    threads: int
    quick: bool = False
    time_limit: float = float("inf")

    @property
    def rounds(self) -> tuple[int, int, float]:
        """Arguments of ``interleave`` for one case in one state: fewest and most rounds, and seconds."""
        if self.quick:
            return 3, 5, 0.05
        return {"cpu": (9, 200, 1.5), "cuda": (15, 100, 0.4)}[self.device]

    @property
    def cache_bytes(self) -> int:
        """Size that inputs must exceed together to be "cold"."""
        if self.quick:
            return 2**22
        if self.device == "cuda":
            return int(torch.cuda.get_device_properties(0).L2_cache_size)
        return last_level_cache() or 2**26


def choose_cases(cases: Sequence[C], patterns: Sequence[str]) -> list[C]:
    """Return the cases whose names match any of the shell patterns; without a pattern, all.

    Raises:
        UsageError: a pattern matches nothing.
    """
    chosen = choose_names((case.name for case in cases), patterns)
    return [case for case in cases if case.name in chosen]


def begin_record(benchmark: str, settings: Settings, **facts: Any) -> Record:
    """Set torch's threads, load the compiled op and return an empty record.

    Raises:
        UnavailableError: there is no such device, or the op runs on the plain torch reference.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise UnavailableError("--device cuda needs an NVIDIA GPU and a CUDA build of torch; found none")
    torch.set_num_threads(settings.threads)
    facts["kernel"] = compiled_target(settings.device)
    if settings.device == "cpu":
        facts["counters"] = counter_states()
    return Record(benchmark=benchmark, device=settings.device, quick=settings.quick, facts=facts)


def run_experiments(
    record: Record,
    settings: Settings,
    cases: Sequence[C],
    run: Callable[[C], ExperimentResult],
    requirements: Callable[[Record], Sequence[RequirementResult]],
    output: Path | None = None,
) -> Record:
    """Measure cases in order while time is left; the record is written after each, so a stop loses only one.

    Args:
        record: gets the results, and the names of skipped cases.
        settings: the time limit is used here.
        cases: the most important ones first.
        run: measures one case; the result's first candidate is the benchmark's subject.
        requirements: compares the record so far with the required figures.
        output: file of the record, or None.
    """
    begun, longest = time.monotonic(), 0.0
    for index, case in enumerate(cases, 1):
        before = time.monotonic()
        if record.cases and before - begun + longest > settings.time_limit:
            record.skipped.append(case.name)
        else:
            result = run(case)
            record.add(result)
            record.requirements = list(requirements(record))
            longest = max(longest, time.monotonic() - before)
            subject, measured = next(iter(result.candidates.items()))
            times = [f"{state} {timing.median_us:.1f} us" for state, timing in measured.timings.items()]
            say(f"[{index}/{len(cases)}] {case.name}: {subject} {', '.join(times) or measured.failed}")
        if output:
            record.write(output)
    return record


def relative_error(outputs: Outputs, expected: Outputs) -> float:
    """Return the largest |out - expected| / |expected| (Euclidean norms) of any output; NaN stays NaN."""
    errors = [
        torch.linalg.vector_norm(out.double() - exact.double()) / torch.linalg.vector_norm(exact.double())
        for out, exact in zip(outputs, expected, strict=True)
    ]
    return torch.stack(errors).max().item()


def check_outputs(name: str, outputs: Outputs, expected: Outputs, tolerance: float) -> float:
    """Return the relative error of a candidate's outputs.

    Raises:
        LnlAttenNetError: it is larger than the tolerance, or NaN.
    """
    error = relative_error(outputs, expected)
    # Written so that NaN fails.
    if not error <= tolerance:
        raise LnlAttenNetError(
            f"{name} is wrong, so it is not timed: its outputs differ from the reference by {error:.2g} of "
            f"their norm, and {tolerance:.2g} is allowed"
        )
    return error


def steadiness_code(record: Record) -> int:
    """Name the required figures that are unsteady; return the exit code, 5 if there are any, else 0."""
    # A few rounds are never steady.
    rows = [] if record.quick else [row for row in record.requirements if row.unsteady]
    if rows:
        names = (f"{row.text}, {row.case} {row.state}".strip() for row in rows)
        say(f"too unsteady to rely on (run again on a quieter machine): {'; '.join(names)}")
    return UNSTEADY_EXIT_CODE if rows else 0


def case_parser(module: str, description: str, pattern: str) -> argparse.ArgumentParser:
    """Return a parser for a benchmark with cases; ``pattern`` is an example of ``--case``."""
    parser = option_parser(module, description)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cpu by default")
    add_count(parser, "--threads", torch.get_num_threads(), 1, "torch's threads")
    add_cases(parser, pattern)
    parser.add_argument("--quick", action="store_true", help="measure few rounds: a trial run")
    parser.add_argument("--time-limit", type=float, default=float("inf"), metavar="SECONDS",
                        help="begin no case that may not end in time; skipped ones are named")  # fmt: skip
    return parser


def read_settings(options: argparse.Namespace) -> Settings:
    """Return the settings that ``case_parser`` read."""
    return Settings(options.device, options.threads, options.quick, options.time_limit)
