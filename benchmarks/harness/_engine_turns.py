"""Engines that take turns in several starts, each in a process of its own: a case for each batch size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.benchmarks.harness._command import say
from lnlattennet.benchmarks.harness._record import ExperimentResult, warm_results
from lnlattennet.export.selection._timing import time_in_turns


def time_engines(
    candidates: Mapping[str, tuple[str, Sequence[Any]]],
    faces: NDArray[np.float32],
    batches: Sequence[int],
    rounds: int,
    starts: int,
    scratch: Path,
    pythons: Mapping[str, Path] = MappingProxyType({}),
) -> Iterator[ExperimentResult]:
    """Time candidates as ``time_in_turns`` does, which has the other arguments; yield a case for each batch.

    A new process lays its memory out anew, which alone makes an engine some percent faster or slower.

    Args:
        candidates: name -> "module:function" and its arguments, the benchmark's subject first.
        faces: float32 [n, 3, S, S], n at least the largest batch.
        batches: batch sizes.
        rounds: counted calls of each candidate at each size, which the starts share.
        starts: processes of every candidate, one after the other.
        scratch: folder for temporary files.
        pythons: name -> interpreter, of candidates that run in another version of this package.

    Raises:
        TimingError: a candidate could not be loaded, or failed.
    """
    calls = max(1, rounds // starts)
    runs = []
    for start in range(starts):
        say(f"[{start + 1}/{starts}] {len(candidates)} candidates take turns")
        runs.append(time_in_turns(candidates, faces, batches, calls, scratch, pythons))
    for batch in batches:
        seconds = {name: [ms / 1e3 for run in runs for ms in run[name][batch]] for name in candidates}
        yield ExperimentResult(f"b{batch}", {"batch": batch}, warm_results(seconds, [calls] * starts))
