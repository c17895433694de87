"""A tritonserver as a child process: started, probed, watched and stopped."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from lnlattennet._onnxruntime import NO_TELEMETRY
from lnlattennet.errors import ServingError
from lnlattennet.images._blank import blank_png
from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.serving.triton._deployment import Deployment, Version
from lnlattennet.serving.triton._discovery import TritonServer
from lnlattennet.serving.triton._endpoints import Endpoints
from lnlattennet.serving.triton._health import probe_model
from lnlattennet.serving.triton._loaded_models import LoadedModels
from lnlattennet.serving.triton._log import failure_reasons
from lnlattennet.serving.triton._model_names import ENGINE_MODEL, ENSEMBLE, KEPT_MODELS, PUBLIC_MODELS
from lnlattennet.serving.triton._processes import cpu_ticks, group_members, has_work, is_member, model_of
from lnlattennet.serving.triton._pulse import VARIABLE, Pulses
from lnlattennet.serving.triton._repository import rotate_logs
from lnlattennet.serving.triton._server_api import KEY_HEADER, drain, is_ready, load_model

_DRAIN_SECONDS = 10
"""Seconds in which requests in flight may be finished before the server stops."""

_IDLE_LOOKS, _LOOK_SECONDS = 5, 0.02
"""How often, one look after the other, the server must be seen idle before its last answers have left it."""

_KILL_SECONDS = 5

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108

_ALLOCATOR = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(4 << 20),
}
"""Settings of glibc's malloc, which otherwise keeps up to 64 MB of large requests in each thread's arena."""

# What the server keeps from before its start; a preexec_fn instead would be unsafe next to other threads.
#
# The kernel stops it when this process dies, however it dies: prctl(PR_SET_PDEATHSIG, SIGTERM).
#
# Its threads do not push one another aside on waking (SCHED_BATCH). Triton's dynamic batcher is woken just
# before the instance that it waits for counts as free: if it runs first, it finds none and sleeps for 500 ms.
_EXEC = """
import contextlib, ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent has gone")
with contextlib.suppress(OSError):
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
os.execv(sys.argv[2], sys.argv[2:])
"""

_log = logging.getLogger(__name__)


class PythonModelError(ServingError):
    """Processes of python models died or hang.

    Attributes:
        models: names of the models.
        pids: numbers of the processes.
    """

    def __init__(self, fault: str, pids: Mapping[int, str]) -> None:
        self.models, self.pids = sorted(set(pids.values())), list(pids)
        super().__init__(f"a process of the model {' and '.join(self.models)} {fault}")


class TritonProcess:
    """A running server; leaving the ``with`` block stops it and removes what it left behind.

    It first answers the requests in flight, unless a ServingError, such as that of ``check``, ends the block:
    then it is killed at once.

    Enter it in the main thread: the kernel ties the server's life to the thread that started it.

    Args:
        server: the program to run.
        deployment: the models to serve; the log of its last start is kept.
        endpoints: where to listen.
        startup_timeout: seconds until every public model must have answered.
        shared_memory: let clients on this machine send tensors in shared memory.
        probed: ask every public model a question before the block begins; without it the caller does.
        version: what to serve of the deployment; None takes the active version.
    """

    def __init__(
        self,
        server: TritonServer,
        deployment: Deployment,
        endpoints: Endpoints,
        startup_timeout: float = 120.0,
        shared_memory: bool = False,
        probed: bool = True,
        version: Version | None = None,
    ) -> None:
        self.endpoints = endpoints
        self.log = deployment.log
        self._deployment = deployment
        self._version = version or deployment.active
        self._loaded = LoadedModels(deployment)
        self.startup_timeout = startup_timeout
        self._probed = probed
        self._shared_memory_prefix = f"lnlattennet-{os.getpid()}-{secrets.token_hex(4)}-"
        self._key = secrets.token_urlsafe(32)
        self._command = _command(
            server, self._loaded.folder, endpoints, self._shared_memory_prefix, self._key, shared_memory
        )
        self._pulses = Pulses(_SHARED_MEMORY / f"{self._shared_memory_prefix}pulse-")
        self._environment = {**NO_TELEMETRY, **_ALLOCATOR, **os.environ, **server.environment}
        self._environment[VARIABLE] = str(self._pulses.prefix)
        self._models: dict[int, str] = {}

    def __enter__(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            ServingError: it exited or did not answer in time; the message has its reason.
        """
        wrapper = [sys.executable, "-I", "-S", "-c", _EXEC, str(os.getpid())]
        rotate_logs(self._deployment)
        self._loaded.start_with(self._version)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*wrapper, *self._command],
                env=self._environment,
                # The python backend's stubs import what lies in their current folder first: a numpy.py in
                # the user's would be run. A deployment holds models, bundle and log only.
                cwd=self._deployment.path,
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

    def __exit__(self, _: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, ServingError):
            self._process.kill()
        elif self._process.poll() is None:
            if self._drain():
                # By itself it would wait for seconds: for its python models one by one, for idle connections,
                # and for good for a python model that is gone.
                self._process.kill()
            else:
                _log.warning("not every request in flight was answered within %d s", _DRAIN_SECONDS)
        self._stop()

    def _drain(self) -> bool:
        """Return whether all requests in flight are answered, and the answers sent."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        # The engine's model last: it may be a step of the others.
        for models in (PUBLIC_MODELS, [ENGINE_MODEL]):
            if not drain(self.endpoints, models, self._key, deadline - time.monotonic()):
                return False
        return self._wait_until_idle([self.pid], deadline - time.monotonic())

    def _wait_until_idle(self, pids: Collection[int], seconds: float = _DRAIN_SECONDS) -> bool:
        """Return whether processes have nothing to do any more, within some time."""
        deadline, idle = time.monotonic() + seconds, 0
        while idle < _IDLE_LOOKS and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            idle = 0 if any(map(has_work, pids)) else idle + 1
        return idle == _IDLE_LOOKS

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def check(self) -> None:
        """Look at the processes.

        Raises:
            PythonModelError: one that runs a python model died or hangs.
            ServingError: the server died.
        """
        dead = [pid for pid in self._models if not is_member(pid, self.pid)]
        code = self._process.poll()
        if code is None and self.pid in dead:
            # Its first thread is dead; it has an exit code once all have ended.
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(_KILL_SECONDS)
        if code is not None:
            reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            raise ServingError(f"the server stopped by itself ({reason}){failure_reasons(self.log)}")
        # The server neither restarts a python model's process nor reports itself unhealthy.
        if dead:
            raise PythonModelError("died", {pid: self._models[pid] for pid in dead})
        if hung := self._pulses.hung(self._models):
            raise PythonModelError("hangs", {pid: self._models[pid] for pid in hung})

    def restart_models(self, broken: PythonModelError) -> None:
        """Replace the processes of python models.

        Those of their processes that are well answer until the new ones are there, as other models do.

        Raises:
            ServingError: a model cannot be loaded.
        """
        _kill(broken.pids, self.pid)
        earlier = [pid for pid, model in self._models.items() if model in broken.models]
        others = {pid: model for pid, model in self._models.items() if model not in broken.models}
        for model in broken.models:
            self._loaded.touch(model)
            load_model(self.endpoints, model, self._key, self.startup_timeout)
        # The server does not end the processes of a model one of which was killed.
        self._wait_until_idle(earlier)
        _kill(earlier, self.pid)
        self._pulses.forget(earlier)
        self._note_members(ended=earlier)
        # Those that died in the meantime too, which ``check`` has yet to find.
        self._models |= others

    def serve_version(self, version: Version) -> None:
        """Load another version beside the one that is served, then let it take over each public model.

        Requests in flight are answered by the version that took them.

        Raises:
            ServingError: a model cannot be loaded; some public models may be of the other version then.
        """
        for model in self._loaded.add_inner(version):
            load_model(self.endpoints, model, self._key, self.startup_timeout)
        for model in KEPT_MODELS:
            self._loaded.replace(model, version)
            load_model(self.endpoints, model, self._key, self.startup_timeout)
        drain(self.endpoints, self._loaded.keep_only(version), self._key, _DRAIN_SECONDS)
        self._note_members()

    def has_work(self) -> bool:
        """Return whether the server, or a process of its python models, computes or waits for a core."""
        return any(map(has_work, self._models))

    def cpu_seconds(self, models: bool = True) -> float:
        """Return the CPU time that the server, and the processes of its python models, have used."""
        ticks = sum(cpu_ticks(pid) for pid in (self._models if models else [self.pid]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.startup_timeout
        while not is_ready(self.endpoints, ENSEMBLE):
            self.check()
            if time.monotonic() > deadline:
                raise ServingError(
                    f"the server was not ready within {self.startup_timeout:g} s; "
                    f"`lnlattennet serve` allows more with --startup-timeout{failure_reasons(self.log)}"
                )
            time.sleep(0.1)
        for model in PUBLIC_MODELS if self._probed else ():
            probe_model(self.endpoints.grpc, model, blank_png())
        # Another server on the same ports may have answered: this one must still run.
        self.check()
        self._note_members()

    def _note_members(self, ended: Collection[int] = ()) -> None:
        models = {pid: model_of(pid) for pid in group_members(self.pid) if pid not in ended}
        # The processes of an unloaded model may take a moment to end.
        self._models = {pid: name for pid, name in models.items() if not name or name in self._loaded}

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_DRAIN_SECONDS + 5)
        except subprocess.TimeoutExpired:
            _log.warning("the server did not stop within %d s and is killed", _DRAIN_SECONDS + 5)
        self._kill_what_is_left()
        for segment in _SHARED_MEMORY.glob(self._shared_memory_prefix + "*"):
            segment.unlink(missing_ok=True)
        self._loaded.remove()

    def _kill_what_is_left(self) -> None:
        """Kill the stubs that a killed server, or one that lost a stub, leaves behind."""
        deadline = time.monotonic() + _KILL_SECONDS
        while (members := group_members(self.pid)) and time.monotonic() < deadline:
            _kill(members, self.pid)
            time.sleep(0.01)
        if members:
            _log.error("processes %s of the server do not die; they may still hold its ports", members)
        self._process.poll()


def _kill(pids: Iterable[int], group: int) -> None:
    """Kill those of the processes that are still of the group."""
    for pid in pids:
        if is_member(pid, group):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _command(
    server: TritonServer,
    models: Path,
    endpoints: Endpoints,
    shared_memory_prefix: str,
    key: str,
    shared_memory: bool,
) -> list[str]:
    # The random key is never given out, so what it guards is switched off on both protocols.
    protocols = ["model-repository", "trace", "logging", *([] if shared_memory else ["shared-memory"])]
    guarded = f"{','.join(protocols)}:{KEY_HEADER}={key}"
    return [
        str(server.executable),
        f"--model-repository={models}",
        f"--backend-directory={server.backend_directory}",
        f"--backend-config=python,shm-region-prefix-name={shared_memory_prefix}",
        # All models are loaded at the start; only this process, which has the key, can unload them.
        "--model-control-mode=explicit",
        "--load-model=*",
        "--disable-auto-complete-config",
        "--exit-on-error=true",
        f"--exit-timeout-secs={_DRAIN_SECONDS}",
        f"--http-address={endpoints.host}",
        f"--http-port={endpoints.http_port}",
        f"--http-restricted-api={guarded}",
        f"--grpc-address={endpoints.host}",
        f"--grpc-port={endpoints.grpc_port}",
        # By default eight answered requests are kept to be used again, each as large as its largest.
        "--grpc-infer-allocation-pool-size=0",
        f"--grpc-restricted-protocol={guarded}",
        f"--metrics-address={endpoints.host}",
        f"--metrics-port={endpoints.metrics_port}",
        *_pool_of_onnxruntime(server),
    ]


def _pool_of_onnxruntime(server: TritonServer) -> list[str]:
    """Return options that give Triton's own ONNX Runtime the usable cores.

    By default each instance of a model has a thread for every core of the machine.
    """
    if "onnxruntime" not in server.backends:
        return []
    options = ("enable-global-threadpool=1", f"intra_op_thread_count={usable_cpus()}")
    return [f"--backend-config=onnxruntime,{option}" for option in options]
