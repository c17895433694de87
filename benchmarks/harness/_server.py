"""A server in a process of its own: `lnlattennet serve`, of this version or another, or any other program."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lnlattennet.benchmarks.harness._images import photographs
from lnlattennet.benchmarks.harness._memory import descendants, proportional_set_size, resident_size
from lnlattennet.errors import LnlAttenNetError, require
from lnlattennet.serving.triton._model_names import ENSEMBLE

_STOP_SECONDS = 30


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        urls: "grpc", "http" or "health" -> address, as far as it has them.
        pid: its first process; the others are its descendants.
        start_seconds: from the start of the process until it had answered a request about a photograph.
    """

    urls: Mapping[str, str]
    pid: int
    start_seconds: float

    def pids(self) -> list[int]:
        """Return its processes."""
        return descendants(self.pid)

    def memory_bytes(self) -> int:
        """Return the proportional set size of all its processes."""
        return sum(proportional_set_size(pid) for pid in self.pids())

    def largest_peak_bytes(self) -> int:
        """Return the most memory that the largest of its processes has taken, shared libraries included."""
        return max(resident_size("VmHWM", pid) for pid in self.pids())

    def written_bytes(self) -> int:
        """Return the part of ``memory_bytes`` that they wrote themselves.

        The rest are libraries, of which a process has less while others on the machine use them too.
        """
        return sum(proportional_set_size(pid, ("Pss_Anon", "Pss_Shmem")) for pid in self.pids())


@contextmanager
def triton(
    bundle: Path,
    python: Path | None = None,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Serve a bundle with `lnlattennet serve`.

    Args:
        bundle: folder of the bundle.
        python: interpreter of an environment with another version of this package; None takes this one. (The
            processes of Triton's python models ignore PYTHONPATH.)
        options: further ones of the command.
        environment: further variables.

    Raises:
        LnlAttenNetError: it did not start.
    """
    command = [str(python or sys.executable), "-P", "-m", "lnlattennet", "serve", str(bundle), "--json"]
    ports = [option for kind in ("http", "grpc", "metrics") for option in (f"--{kind}-port", "0")]
    ask, started = question(), time.monotonic()
    with server_process([*command, *ports, *options], environment or {}, subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        document = _first_document(process.stdout)
        if document is None:
            raise LnlAttenNetError(f"`{' '.join(command)}` ended before it served; run it to see why")
        urls = {name: document[name] for name in ("http", "grpc", "health") if document.get(name)}
        ask(urls["http"])
        yield Server(urls, process.pid, time.monotonic() - started)


def question() -> Callable[[str], None]:
    """Return a function that asks a server about a photograph, over HTTP; what it needs is imported here."""
    http = require("tritonclient.http", "triton")
    tensor = http.InferInput("image", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[photographs()["512"]]], dtype=np.object_))

    def ask(url: str) -> None:
        client = http.InferenceServerClient(url.removeprefix("http://"))
        client.infer(ENSEMBLE, [tensor])
        client.close()

    return ask


def _first_document(lines: Iterator[str]) -> dict[str, str] | None:
    """Read the JSON document that `serve --json` prints once it answers, on one line or several."""
    text = ""
    for line in lines:
        text += line
        with suppress(json.JSONDecodeError):
            return dict(json.loads(text))
    return None


@contextmanager
def server_process(
    command: list[str], environment: Mapping[str, str], stdout: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[str]]:
    """Run a server; stop it with SIGTERM, and kill what is left of its session after half a minute."""
    with subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=stdout, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
            # LitServe's other processes go on after the first one, and hold what this one prints to.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
