"""Process that times one engine (or another candidate) on request; see ``_timing.TimedProcess``.

    python -P -m lnlattennet.export.selection._worker MODULE:FUNCTION ARGUMENTS FACES

ARGUMENTS is a JSON list: ``FUNCTION(*ARGUMENTS)`` gives a function of a batch of faces. FACES is a `.npy`
file, float32 [n, 3, S, S]. It reads a batch size per line from stdin, and
writes the seconds of one call each to stdout.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

_WARM_UP_CALLS = 10
_SETTLING_CALLS = 3
_QUIET_SECONDS = 0.05

Call = Callable[[NDArray[np.float32]], object]


def load_engine(backend: str, path: str, threads: int) -> Call:
    """Load an engine file; return it as a function of faces."""
    from pathlib import Path

    from lnlattennet.model._io_spec import INPUT_NAME
    from lnlattennet.runtimes._registry import backend_named

    runner = backend_named(backend).load(Path(path), threads)
    return lambda faces: runner({INPUT_NAME: faces})


def serve(function: str, arguments: str, faces_file: str, requests: TextIO, answers: TextIO) -> None:
    """Answer every batch size of ``requests`` with the seconds of one call, until they end."""
    module, _, name = function.partition(":")
    call: Call = getattr(importlib.import_module(module), name)(*json.loads(arguments))
    faces = np.load(faces_file)
    print("ready", file=answers, flush=True)
    warm: set[int] = set()
    for line in requests:
        size = int(line)
        # The runtime before this one may leave its threads spinning for milliseconds, on our cores too.
        time.sleep(_QUIET_SECONDS)
        # And this process slept: its threads must wake and its data must return to the cache.
        for _ in range(_SETTLING_CALLS if size in warm else _WARM_UP_CALLS):
            call(faces[:size])
        warm.add(size)
        start = time.perf_counter_ns()
        call(faces[:size])
        print((time.perf_counter_ns() - start) / 1e9, file=answers, flush=True)


def main() -> None:
    """Run as the program that this module describes."""
    # Ctrl-C is the parent's to handle: it closes our stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Runtimes may print; stdout belongs to the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    function, arguments, faces = sys.argv[1:4]
    serve(function, arguments, faces, sys.stdin, answers)


if __name__ == "__main__":
    main()
