"""Every sample of a record of timings, whatever version of this package wrote it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lnlattennet.errors import DataError

Candidates = Mapping[str, Mapping[str, Sequence[float]]]
"""Candidate -> state of the caches -> microseconds."""
Samples = Mapping[str, Candidates]
"""Case -> candidates."""
CandidateStarts = Mapping[str, Mapping[str, Sequence[Sequence[float]]]]
"""Candidate -> state of the caches -> microseconds of each process."""
Starts = Mapping[str, CandidateStarts]
"""Case -> candidates, the microseconds of each process apart."""


def read_record(path: Path) -> dict[str, Any]:
    """Return the JSON document of a record.

    Raises:
        DataError: the file cannot be read, or holds no record of a benchmark.
    """
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(
            f"a record is a JSON file that a benchmark wrote (--output FILE); cannot read {path}: {error}"
        ) from error
    if not isinstance(document, dict) or "benchmark" not in document:
        raise DataError(f'a record of a benchmark has the key "benchmark"; {path} has not')
    return document


def read_samples(record: Mapping[str, Any]) -> Samples:
    """Return every sample of a record of timings; old records have other names and units."""
    return {
        case: {
            name: {state: list(itertools.chain(*starts)) for state, starts in states.items()}
            for name, states in candidates.items()
        }
        for case, candidates in read_starts(record).items()
    }


def read_starts(record: Mapping[str, Any]) -> Starts:
    """Return every sample of a record, those of each process apart; none of a record of another kind."""
    if not record.keys() & {"cases", "samples_ms", "samples_s"}:
        return {}
    if "cases" in record:
        return {
            case["name"].replace("tail/", "attention+nonlocal/"): {
                name: _starts_by_state(result.get("timings", result))
                for name, result in case.get("candidates", case.get("rivals")).items()
            }
            for case in record["cases"]
        }
    scale, samples = (1e3, record["samples_ms"]) if "samples_ms" in record else (1e6, record["samples_s"])
    by_case = samples if any(isinstance(item, dict) for item in samples.values()) else {"": samples}
    return {
        case and f"b{case}": {
            name: {"warm": [[scale * value for value in values]]} for name, values in candidates.items()
        }
        for case, candidates in by_case.items()
    }


def split_starts(samples: Sequence[float], counts: Sequence[int]) -> list[list[float]]:
    """Return samples, those of each process apart; ``counts`` is empty if one process gave them all."""
    left = iter(samples)
    return [list(itertools.islice(left, count)) for count in counts or [len(samples)]]


def _starts_by_state(timings: Mapping[str, Any]) -> dict[str, list[list[float]]]:
    return {
        state: split_starts(timing["samples_us"], timing.get("starts", ()))
        for state, timing in timings.items()
        if isinstance(timing, dict)
    }
