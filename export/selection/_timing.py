"""Latency of several engines in one interleaved run, each in a process of its own.

Runtimes that share a process disturb each other: their thread pools go on spinning on the same cores after
a call, which made one engine here twice as slow. A process that waits for its turn holds no core.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet._interleave import interleave
from lnlattennet._statistics import median_interval
from lnlattennet.bundle._manifest import Latency
from lnlattennet.errors import ExportError
from lnlattennet.machine._hardware import usable_cpus

_WORKER = "lnlattennet.export.selection._worker"
_THIS_PYTHON = Path(sys.executable)


class TimingError(ExportError):
    """Failure of a candidate in the process that times it; ``name`` is the candidate's."""

    def __init__(self, name: str, exit_code: int, message: str) -> None:
        how = f"exit code {exit_code}" if exit_code >= 0 else signal.Signals(-exit_code).name
        super().__init__(f"{name}: the process that times it ended with {how}: {message}")
        self.name = name


class TimedProcess:
    """An engine, or a candidate compared with it, in a process that calls it on request.

    Args:
        name: for messages.
        function: "module:function"; called with ``arguments``, it gives a function of a batch of faces.
        arguments: JSON values.
        faces: a `.npy` file, float32 [n, 3, S, S].
        python: interpreter of an environment with this package.
    """

    def __init__(
        self, name: str, function: str, arguments: Sequence[Any], faces: Path, python: Path = _THIS_PYTHON
    ) -> None:
        command = [str(python), "-P", "-m", _WORKER, function, json.dumps(list(arguments)), str(faces)]
        self._name = name
        self._messages = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - see close
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._messages, text=True
        )

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._messages.close()

    def seconds(self, batch: int) -> float:
        """Return the seconds of one call on a batch of this size, made after a few uncounted ones."""
        if self._process.stdin is not None:
            # If the process has ended, ``answer`` raises the better error.
            with suppress(BrokenPipeError):
                self._process.stdin.write(f"{batch}\n")
                self._process.stdin.flush()
        return float(self.answer())

    def answer(self) -> str:
        """Wait for a line; the first one says that it has loaded what it times.

        Raises:
            TimingError: the process ended instead.
        """
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            exit_code = self._process.wait()
            self._messages.seek(0)
            messages = [line.strip() for line in self._messages if line.strip()]
            raise TimingError(self._name, exit_code, messages[-1] if messages else "it printed nothing")
        return line.strip()


def time_in_turns(
    candidates: Mapping[str, tuple[str, Sequence[Any]]],
    faces: NDArray[np.float32],
    batches: Sequence[int],
    rounds: int,
    scratch: Path,
    pythons: Mapping[str, Path] = MappingProxyType({}),
) -> dict[str, dict[int, list[float]]]:
    """Time candidates on the first faces, in turn; return milliseconds of every call by name and batch size.

    Args:
        candidates: name -> "module:function" and its arguments (``TimedProcess``).
        faces: float32 [n, 3, S, S], n at least the largest batch.
        batches: batch sizes.
        rounds: counted calls of each candidate at each size.
        scratch: folder that the faces are written to.
        pythons: name -> interpreter, of candidates that run in another version of this package.

    Raises:
        TimingError: a candidate could not be loaded, or failed.
    """
    file = scratch / "faces.npy"
    _save(file, faces[: max(batches)])
    samples: dict[str, dict[int, list[float]]] = {name: {} for name in candidates}
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(
                closing(TimedProcess(name, function, arguments, file, pythons.get(name, _THIS_PYTHON)))
            )
            for name, (function, arguments) in candidates.items()
        }
        for process in processes.values():
            process.answer()
        for batch in batches:
            turns = {name: partial(process.seconds, batch) for name, process in processes.items()}
            for name, seconds in interleave(turns, rounds).items():
                samples[name][batch] = [1e3 * value for value in seconds]
    return samples


def engine_arguments(backend: str, path: Path) -> tuple[str, list[Any]]:
    """Return an engine file as a candidate of ``time_in_turns``, on all usable threads."""
    return f"{_WORKER}:load_engine", [backend, str(path), 0]


def summary(batch: int, samples: list[float]) -> Latency:
    """Return the manifest's record of one engine's samples at one batch size, in milliseconds."""
    median, low, high = median_interval(samples)
    return Latency(
        batch=batch,
        threads=usable_cpus(),
        median_ms=median,
        low_ms=low,
        high_ms=high,
        p90_ms=float(np.percentile(samples, 90)),
        samples=len(samples),
    )


def _save(file: Path, faces: NDArray[np.float32]) -> None:
    try:
        np.save(file, faces)
    except OSError as error:
        if error.errno is not None:
            raise
        # numpy reports a full disk only as fewer bytes written than requested.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file)) from error
