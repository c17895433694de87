"""A tritonserver as a child process: started, probed, watched and stopped."""

from __future__ import annotations

import http.client
import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from lnlattennet.errors import ServingError
from lnlattennet.runtimes._onnxruntime import NO_TELEMETRY
from lnlattennet.serving.triton._discovery import TritonServer
from lnlattennet.serving.triton._endpoints import Endpoints
from lnlattennet.serving.triton._health import probe_model
from lnlattennet.serving.triton._log import failure_reasons
from lnlattennet.serving.triton._model_names import ENSEMBLE, PUBLIC_MODELS
from lnlattennet.serving.triton._repository import Deployment

_DRAIN_SECONDS = 10
"""Seconds in which a stopping server may finish requests in flight."""

_KILL_SECONDS = 5

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108

# The kernel stops the server when this process dies, however it dies: prctl(PR_SET_PDEATHSIG, SIGTERM)
# survives the exec; a preexec_fn instead would be unsafe next to other threads.
_EXEC_TIED_TO_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent has gone")
os.execv(sys.argv[2], sys.argv[2:])
"""

_log = logging.getLogger(__name__)


class TritonProcess:
    """A running server; leaving the ``with`` block stops it and removes what it left behind.

    Enter it in the main thread: the kernel ties the server's life to the thread that started it.

    Args:
        server: the program to run.
        deployment: the models to serve; its log file is written anew.
        endpoints: where to listen.
        startup_timeout: seconds until every public model must have answered.
        shared_memory: let clients on this machine send tensors in shared memory.
    """

    def __init__(
        self,
        server: TritonServer,
        deployment: Deployment,
        endpoints: Endpoints,
        startup_timeout: float = 120.0,
        shared_memory: bool = False,
    ) -> None:
        self.endpoints = endpoints
        self.log = deployment.log
        self._folder = deployment.path
        self._timeout = startup_timeout
        self._shared_memory_prefix = f"lnlattennet-{os.getpid()}-{secrets.token_hex(4)}-"
        self._command = _command(server, deployment, endpoints, self._shared_memory_prefix, shared_memory)
        self._environment = {**NO_TELEMETRY, **os.environ, **server.environment}
        self._processes = 0

    def __enter__(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            ServingError: it exited or did not answer in time; the message has its reason.
        """
        wrapper = [sys.executable, "-I", "-S", "-c", _EXEC_TIED_TO_PARENT, str(os.getpid())]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*wrapper, *self._command],
                env=self._environment,
                # The python backend's stubs import what lies in their current folder first: a numpy.py in
                # the user's would be run. A deployment holds models, bundle and log only.
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C reaches this process only, and stubs can be found by group.
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def check(self) -> None:
        """Raise ServingError if the server, or one of the processes that run its python models, has died."""
        code = self._process.poll()
        if code is not None:
            reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            raise ServingError(f"the server stopped by itself ({reason}){failure_reasons(self.log)}")
        if len(_group_members(self.pid)) < self._processes:
            # The server neither restarts a python model's process nor reports itself unhealthy.
            raise ServingError(f"a process of a python model died; start again{failure_reasons(self.log)}")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._timeout
        while not _is_ready(self.endpoints):
            self.check()
            if time.monotonic() > deadline:
                raise ServingError(
                    f"the server was not ready within {self._timeout:g} s; allow more with --startup-timeout"
                    f"{failure_reasons(self.log)}"
                )
            time.sleep(0.1)
        for model in PUBLIC_MODELS:
            probe_model(self.endpoints.grpc, model)
        # Another server on the same ports may have answered: this one must still run.
        self.check()
        self._processes = len(_group_members(self.pid))

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_DRAIN_SECONDS + 5)
        except subprocess.TimeoutExpired:
            _log.warning("the server did not stop within %d s and is killed", _DRAIN_SECONDS + 5)
        self._kill_what_is_left()
        for segment in _SHARED_MEMORY.glob(self._shared_memory_prefix + "*"):
            segment.unlink(missing_ok=True)

    def _kill_what_is_left(self) -> None:
        """Kill the stubs that a killed server, or one that lost a stub, leaves behind."""
        deadline = time.monotonic() + _KILL_SECONDS
        while (members := _group_members(self.pid)) and time.monotonic() < deadline:
            for pid in members:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        if members:
            _log.error("processes %s of the server do not die; they may still hold its ports", members)
        self._process.poll()


def _command(
    server: TritonServer,
    deployment: Deployment,
    endpoints: Endpoints,
    shared_memory_prefix: str,
    shared_memory: bool,
) -> list[str]:
    # The random key is never given out, so what it guards is switched off on both protocols.
    protocols = ["model-repository", "trace", "logging", *([] if shared_memory else ["shared-memory"])]
    guarded = f"{','.join(protocols)}:lnlattennet-key={secrets.token_urlsafe(32)}"
    return [
        str(server.executable),
        f"--model-repository={deployment.models}",
        f"--backend-directory={server.backend_directory}",
        f"--backend-config=python,shm-region-prefix-name={shared_memory_prefix}",
        "--model-control-mode=none",
        "--disable-auto-complete-config",
        "--exit-on-error=true",
        f"--exit-timeout-secs={_DRAIN_SECONDS}",
        f"--http-address={endpoints.host}",
        f"--http-port={endpoints.http_port}",
        f"--http-restricted-api={guarded}",
        f"--grpc-address={endpoints.host}",
        f"--grpc-port={endpoints.grpc_port}",
        f"--grpc-restricted-protocol={guarded}",
        f"--metrics-address={endpoints.host}",
        f"--metrics-port={endpoints.metrics_port}",
    ]


def _is_ready(endpoints: Endpoints) -> bool:
    connection = http.client.HTTPConnection(endpoints.client_host, endpoints.http_port, timeout=2)
    try:
        connection.request("GET", f"/v2/models/{ENSEMBLE}/ready")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _group_members(group: int) -> list[int]:
    """Return the processes of a process group that are alive (a zombie is not)."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # "pid (name) state parent group ...": the name may hold spaces and parentheses.
            state, _, group_id = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if state != "Z" and int(group_id) == group:
            members.append(int(stat.parent.name))
    return members
