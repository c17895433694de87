"""Record of a benchmark: the machine, every sample of every candidate, and the required figures."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from lnlattennet import __version__
from lnlattennet._atomic import replace_file
from lnlattennet._statistics import ratio_of_starts
from lnlattennet.benchmarks.harness._hardware import machine_facts
from lnlattennet.benchmarks.harness._load import Load, Watch
from lnlattennet.benchmarks.harness._samples import split_starts

WARM = "warm"
"""State of the caches after calls on the same input."""
STEADY = 0.3
"""Widest 95% interval of a required ratio, as a share of the ratio, that counts as steady."""


@dataclass(frozen=True)
class Timing:
    """Samples of one candidate, in microseconds, with their median and their 10th and 90th percentiles.

    ``starts`` are the numbers of samples that each process gave, in order; empty if one gave them all.
    """

    median_us: float
    p10_us: float
    p90_us: float
    samples_us: tuple[float, ...]
    starts: tuple[int, ...] = ()

    @classmethod
    def from_seconds(cls, seconds: Sequence[float], starts: Sequence[int] = ()) -> Timing:
        """Summarize samples that were measured in seconds."""
        p10, median, p90 = np.percentile(seconds, [10, 50, 90]) * 1e6
        samples = tuple(round(value * 1e6, 3) for value in seconds)
        return cls(float(median), float(p10), float(p90), samples, tuple(starts))

    @property
    def by_start(self) -> list[list[float]]:
        """The samples, those of each process apart."""
        return split_starts(self.samples_us, self.starts)


@dataclass(frozen=True)
class CandidateResult:
    """Measurement of one candidate in one experiment.

    Attributes:
        timings: state of the caches ("launch", "warm", "cold") -> samples; empty for a candidate that failed.
        failed: reason why it could not be measured, or "".
        relative_error: distance of its outputs from the reference's, as a share of their norm.
        prepare_seconds: duration of its first call or of its build.
        launches: names of the kernels, copies and fills that one call starts on the GPU.
        moved_bytes: the fewest bytes that a call must move; 0 where unknown.
        cuda_graph: origin of the timed CUDA graph, or the reason why there was none.
        counters: state of the caches -> counter -> mean of a timed call; empty where nothing was counted.
    """

    timings: Mapping[str, Timing] = field(default_factory=dict)
    failed: str = ""
    relative_error: float | None = None
    prepare_seconds: float | None = None
    launches: tuple[str, ...] = ()
    moved_bytes: int = 0
    cuda_graph: str = ""
    counters: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def warm_results(
    seconds: Mapping[str, Sequence[float]], starts: Sequence[int] = ()
) -> dict[str, CandidateResult]:
    """Return results, by candidate, of a benchmark with one state of the caches and no check of outputs.

    ``starts`` are the numbers of each candidate's samples that each process gave (``Timing``).
    """
    return {
        name: CandidateResult({WARM: Timing.from_seconds(values, starts)}) for name, values in seconds.items()
    }


@dataclass(frozen=True)
class ExperimentResult:
    """Measurement of all candidates on one case.

    Attributes:
        name: name of the case.
        config: fields of the case, and sizes that follow from them.
        candidates: name -> measurement.
    """

    name: str
    config: Mapping[str, Any]
    candidates: Mapping[str, CandidateResult]

    def timing(self, candidate: str, state: str = WARM) -> Timing | None:
        """Return a candidate's samples, or None if it has none."""
        return self.candidates.get(candidate, CandidateResult()).timings.get(state)


@dataclass(frozen=True, kw_only=True)
class RequirementResult:
    """A required figure beside the measured one.

    Attributes:
        text: description of the figure.
        case: name of the case.
        state: state of the caches.
        bound: required value; None where none is required.
        upper: whether the bound is the largest allowed value, not the smallest.
        status: "reached", "missed", "undecided" (the bound lies in the interval), "nothing required" or
            "not measured".
        value: measured value.
        interval: 95% interval of the value.
        against: the candidate that the value was measured against.
        at_read_rate: value of a candidate that only reads its input: about the best possible.
    """

    text: str
    case: str
    state: str = ""
    bound: float | None = None
    upper: bool = False
    status: str = "not measured"
    value: float | None = None
    interval: tuple[float, ...] | None = None
    against: str = ""
    at_read_rate: float | None = None

    def with_value(self, value: float, *interval: float) -> RequirementResult:
        """Return it with a measured value, the ends of its interval if there is one, and the status."""
        status = self._status(*(interval or (value, value)))
        return dataclasses.replace(self, value=value, interval=interval or None, status=status)

    def _status(self, low: float, high: float) -> str:
        if self.bound is None:
            return "nothing required"
        if low < self.bound < high:
            return "undecided"
        return "reached" if (high <= self.bound if self.upper else low >= self.bound) else "missed"

    def with_ratio(
        self, case: ExperimentResult | None, subject: str, candidates: Iterable[str]
    ) -> RequirementResult:
        """Return it with a ratio and its 95% interval, if subject and a candidate were measured.

        Args:
            case: the experiment, if it was run.
            subject: the candidate whose speed is required.
            candidates: the time of the fastest of them, divided by the subject's, is the ratio; with an
                upper bound it is the other way round.
        """
        own = case.timing(subject, self.state) if case else None
        timings = {name: case.timing(name, self.state) for name in candidates} if case else {}
        known = {name: timing for name, timing in timings.items() if timing}
        if own is None or not known:
            return self
        fastest = min(known, key=lambda name: known[name].median_us)
        pair = known[fastest].by_start, own.by_start
        ratio = ratio_of_starts(*(pair[::-1] if self.upper else pair))
        return dataclasses.replace(self.with_value(*ratio), against=fastest)

    @property
    def unsteady(self) -> bool:
        """Whether the interval of a required figure is too wide to state the figure."""
        if self.bound is None or not self.value or not self.interval:
            return False
        return self.interval[1] - self.interval[0] > STEADY * self.value


@dataclass(kw_only=True)
class Record:
    """One run of a benchmark.

    Attributes:
        benchmark: name of the benchmark.
        device: "cpu" or "cuda".
        quick: whether only a few rounds were measured, so that the figures mean little.
        facts: further entries of the JSON document, beside these fields.
        cases: every measured case.
        skipped: names of the cases for which no time was left.
        requirements: required figures.
        lnlattennet: version of this package.
        started: date and time, UTC.
        machine: hardware and versions that the figures depend on.
        seconds: duration of the run so far.
        load: what other programs took of the machine in the meantime.
    """

    benchmark: str
    device: str = "cpu"
    quick: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    cases: list[ExperimentResult] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    requirements: list[RequirementResult] = field(default_factory=list)
    lnlattennet: str = __version__
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    machine: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    load: Load = field(init=False)

    def __post_init__(self) -> None:
        self._begun, self._watch = time.monotonic(), Watch()
        self.load = self._watch.load
        self.machine = machine_facts(self.device)

    def add(self, case: ExperimentResult) -> None:
        """Add a measured case."""
        self.cases.append(case)
        self.note_time()

    def note_time(self) -> None:
        """Note the duration and the load of the machine so far."""
        self.seconds = round(time.monotonic() - self._begun, 1)
        self._watch.lap()
        self.load = self._watch.load

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document."""
        fields = dataclasses.asdict(self)
        facts: dict[str, Any] = fields.pop("facts")
        return fields | facts

    def write(self, path: Path) -> None:
        """Write the JSON document to a file, whole or not at all."""
        with replace_file(path) as temporary:
            temporary.write_text(json.dumps(self.to_json()) + "\n", encoding="utf-8")
