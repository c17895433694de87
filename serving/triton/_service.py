"""Service of a bundle until Ctrl-C: verify, deploy, start and supervise."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from types import FrameType

from lnlattennet._program_folder import temporary_program_folder
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._manifest import read_manifest
from lnlattennet.bundle.doctor._triton_releases import EMBEDDED_SERVER, SAFE_SINCE
from lnlattennet.errors import ServingError, UsageError
from lnlattennet.images.finders._registry import finder_named, version_note
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.serving.supervision._health_address import health_address
from lnlattennet.serving.supervision._hot_swap import HotSwap
from lnlattennet.serving.supervision._status import Status
from lnlattennet.serving.supervision._supervisor import Supervisor
from lnlattennet.serving.triton._deployment import Deployment, is_deployment, serving_lock
from lnlattennet.serving.triton._deployment_check import check_deployment
from lnlattennet.serving.triton._discovery import TritonServer, find_server
from lnlattennet.serving.triton._endpoints import Endpoints, choose_endpoints
from lnlattennet.serving.triton._engine_fit import require_runnable
from lnlattennet.serving.triton._process import TritonProcess
from lnlattennet.serving.triton._repository import add_version
from lnlattennet.serving.triton._shell_paths import require_shell_safe_path

_TEMPORARY = "lnlattennet-deployment-"

_log = logging.getLogger(__name__)


def serve_bundle(
    bundle: Path,
    announce: Callable[[TritonProcess, Deployment, str | None], None],
    *,
    deploy_to: Path | None,
    host: str,
    ports: tuple[int, int, int],
    backend_directory: Path | None,
    startup_timeout: float,
    shared_memory: bool,
    health_port: int | None = None,
) -> None:
    """Serve a bundle until Ctrl-C or SIGTERM.

    Args:
        bundle: folder of a bundle, or of a deployment that `deploy` wrote, which is served where it is.
        announce: called once the server answers, with the health address if there is one.
        deploy_to: folder that keeps the deployable copy; None removes it at the end.
        host: address to listen on.
        ports: ports of HTTP, gRPC and the metrics; 0 picks a free one.
        backend_directory: backends of the tritonserver on PATH; None takes those of NVIDIA's container.
        startup_timeout: seconds until the server must answer.
        shared_memory: whether clients may hand over tensors in shared memory.
        health_port: port of the health address; None for no such address, 0 picks a free one.

    The active version of the deployment is served; when another is activated, it takes over.

    A server that dies, hangs or answers wrongly is started again, a few times.

    Raises:
        BundleError: the bundle is damaged.
        ServingError: the server cannot be started, or failed again and again.
        UsageError: host or ports are refused, or a deployment is to be deployed.
        UnavailableError: there is no tritonserver, the bundle's face finder is missing, or its engine cannot
            run here.
    """
    with _one_interrupt(), ExitStack() as stack:
        source = Deployment(bundle).bundle if is_deployment(bundle) else bundle
        verified = Bundle.load(source)
        # The server's models would fail to load without it; here its reason stands alone.
        finder_named(verified.manifest.preprocessing.face_finder).create()
        endpoints = choose_endpoints(host, *ports, health_port)
        server = stack.enter_context(find_server(backend_directory))
        require_runnable(verified.manifest, server.backends)
        if source != bundle:
            deployment = _existing(bundle, deploy_to)
            stack.enter_context(serving_lock(deployment.path))
        else:
            folder = deploy_to or stack.enter_context(temporary_program_folder(_TEMPORARY)) / "deployment"
            deployment = Deployment(folder.resolve())
            with serving_lock(folder) if folder.is_dir() else nullcontext():
                # Else another `serve` of this folder would take the version.
                deployment.activate(add_version(verified, folder, server.backends))
            stack.enter_context(serving_lock(deployment.path))
        _warn(server, endpoints, verified.manifest.preprocessing)
        kept = deploy_to is not None or source != bundle
        stack.enter_context(_pointing_to(deployment.log, kept))
        status = Status()
        health = None
        if health_port is not None:
            health = stack.enter_context(health_address(status, endpoints.host, health_port))

        def start() -> TritonProcess:
            _log.info("starting tritonserver", extra={"event": "start"})
            # The supervisor asks itself, about a known face.
            return TritonProcess(
                server,
                deployment,
                endpoints,
                startup_timeout,
                shared_memory,
                probed=False,
                version=swap.version,
            )

        def trial(candidate: Deployment) -> TritonProcess:
            require_runnable(read_manifest(candidate.active.bundle), server.backends)
            ports = choose_endpoints("127.0.0.1", 0, 0, 0)
            return TritonProcess(server, candidate, ports, startup_timeout, probed=False)

        deployment.forget_served()
        stack.callback(deployment.forget_served)
        swap = HotSwap(deployment, trial)

        started = time.monotonic()

        def answers(process: TritonProcess) -> None:
            seconds = time.monotonic() - started
            at = process.endpoints
            addresses = {"http": at.http, "grpc": at.grpc, "metrics": at.metrics, "health": health}
            fields = {"event": "ready", "seconds": round(seconds, 3), "pid": process.pid, **addresses}
            _log.info("answers after %.1f s", seconds, extra=fields)
            announce(process, deployment, health)

        try:
            Supervisor(start, status, answers, swap).run()
        except KeyboardInterrupt:
            if status.phase == "starting" and not status.restarts:
                raise
            _log.info("stopping", extra={"event": "stop"})


def _existing(folder: Path, deploy_to: Path | None) -> Deployment:
    if deploy_to is not None:
        raise UsageError(f"{folder} is a deployment already: leave --deploy-to out, or give a bundle")
    deployment = Deployment(folder.resolve())
    require_shell_safe_path(deployment.path, "move the deployment to another folder")
    check_deployment(deployment.active)
    return deployment


@contextmanager
def _one_interrupt() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP like Ctrl-C; the first one stops the command, later ones are ignored.

    A SIGHUP that is ignored already stays so: `nohup` lets a command outlive its terminal.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        for ignored in earlier:
            signal.signal(ignored, signal.SIG_IGN)
        raise KeyboardInterrupt

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    earlier = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextmanager
def _pointing_to(log: Path, kept: bool) -> Iterator[None]:
    """Log the location of the server's log if the server fails."""
    try:
        yield
    except ServingError:
        where = f"is {log}" if kept else "was temporary; keep it with --deploy-to DIR"
        _log.error("the server failed; its log %s", where)
        raise


def _warn(server: TritonServer, endpoints: Endpoints, preprocessing: Preprocessing) -> None:
    if note := version_note(preprocessing.face_finder, preprocessing.face_finder_version):
        _log.warning("%s", note)
    if server.embedded:
        _log.warning(
            "the embedded Triton %s is for development only (known vulnerabilities): "
            "use NVIDIA's container, %s or newer, in production",
            EMBEDDED_SERVER,
            SAFE_SINCE,
        )
    if not endpoints.is_loopback:
        _log.warning("%s is open to other machines, without encryption or password", endpoints.host)
