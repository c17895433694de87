"""Servers to compare with: what a user would write instead, in processes of their own."""

from __future__ import annotations

import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lnlattennet.benchmarks.harness._server import Server, question, server_process
from lnlattennet.errors import LnlAttenNetError, UnavailableError
from lnlattennet.serving.triton._model_names import ENSEMBLE

PEER_BUNDLE, PEER_PORT = "LNLATTENNET_BENCHMARK_BUNDLE", "LNLATTENNET_BENCHMARK_PORT"
"""Environment variables that tell a peer what to serve, and where."""

_READY_SECONDS = 180


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
    ask, started = question(), time.monotonic()
    with server_process(command, {PEER_BUNDLE: str(bundle.resolve()), PEER_PORT: str(port)}) as process:
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
