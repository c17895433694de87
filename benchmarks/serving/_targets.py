"""Servers to compare: this version, an earlier one, and peers, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from lnlattennet.benchmarks.harness._memory import descendants, proportional_set_size, resident_size
from lnlattennet.benchmarks.serving._images import photographs
from lnlattennet.errors import LnlAttenNetError, UnavailableError, require
from lnlattennet.serving.triton._model_names import ENSEMBLE

PEER_BUNDLE, PEER_PORT = "LNLATTENNET_BENCHMARK_BUNDLE", "LNLATTENNET_BENCHMARK_PORT"
"""Environment variables that tell a peer what to serve, and where."""

_READY_SECONDS = 180
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
        """Return the part of it that they wrote themselves.

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
    ask, started = _question(), time.monotonic()
    with _process([*command, *ports, *options], environment or {}, subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        document = _first_document(process.stdout)
        if document is None:
            raise LnlAttenNetError(f"`{' '.join(command)}` ended before it served; run it to see why")
        urls = {name: document[name] for name in ("http", "grpc", "health") if document.get(name)}
        ask(urls["http"])
        yield Server(urls, process.pid, time.monotonic() - started)


def _question() -> Callable[[str], None]:
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


@dataclass(frozen=True)
class Peer:
    """What a user would write instead of `lnlattennet serve`.

    Attributes:
        name: what tables call it.
        module: in ``peers``.
        packages: that it needs, all in the extras `bench` and `server`.
    """

    name: str
    module: str
    packages: tuple[str, ...]


FASTAPI = Peer("FastAPI", "_fastapi", ("fastapi", "uvicorn"))
PEERS = (
    FASTAPI,
    Peer("LitServe", "_litserve", ("fastapi", "litserve")),
    Peer("PyTriton", "_pytriton", ("fastapi", "pytriton")),
)


@contextmanager
def peer_server(peer: Peer, bundle: Path) -> Iterator[Server]:
    """Serve a bundle with a peer, over HTTP, with as many workers as there are cores.

    Raises:
        LnlAttenNetError: it did not start.
        UnavailableError: a package that it needs is not installed.
    """
    for package in peer.packages:
        # Not imported: PyTriton would configure this process's logging.
        if find_spec(package) is None:
            raise UnavailableError(
                f"it needs the Python package '{package}', which is not installed: "
                "pip install 'lnlattennet[bench,server]'"
            )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-P", "-m", f"{__package__}.peers.{peer.module}"]
    ask, started = _question(), time.monotonic()
    with _process(command, {PEER_BUNDLE: str(bundle.resolve()), PEER_PORT: str(port)}) as process:
        url = f"http://127.0.0.1:{port}"
        while not _ready(f"{url}/v2/models/{ENSEMBLE}/ready"):
            if process.poll() is not None or time.monotonic() - started > _READY_SECONDS:
                raise LnlAttenNetError(f"`{' '.join(command)}` does not answer")
            time.sleep(0.05)
        ask(url)
        yield Server({"http": url}, process.pid, time.monotonic() - started)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - an address of this machine
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def _process(
    command: list[str], environment: Mapping[str, str], stdout: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[str]]:
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
