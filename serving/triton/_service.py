"""Service of a bundle until Ctrl-C: verify, deploy, start and watch."""

from __future__ import annotations

import logging
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from lnlattennet._program_folder import program_folder
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle.doctor._triton_releases import EMBEDDED_SERVER, SAFE_SINCE
from lnlattennet.errors import OverloadedError, ServingError
from lnlattennet.images.finders._registry import finder_named, version_note
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.serving.triton._discovery import TritonServer, find_server
from lnlattennet.serving.triton._endpoints import Endpoints, choose_endpoints
from lnlattennet.serving.triton._health import probe_model
from lnlattennet.serving.triton._model_names import ENSEMBLE
from lnlattennet.serving.triton._process import TritonProcess
from lnlattennet.serving.triton._repository import Deployment, deploy

_CHECK_SECONDS = 1.0
_CHECKS_PER_PROBE = 15

_log = logging.getLogger(__name__)


def serve_bundle(
    bundle: Path,
    announce: Callable[[TritonProcess, Deployment], None],
    *,
    deploy_to: Path | None,
    host: str,
    ports: tuple[int, int, int],
    backend_directory: Path | None,
    startup_timeout: float,
    shared_memory: bool,
) -> None:
    """Serve a bundle until Ctrl-C or SIGTERM.

    Args:
        bundle: folder of the bundle.
        announce: called once the server answers.
        deploy_to: folder that keeps the deployable copy; None removes it at the end.
        host: address to listen on.
        ports: ports of HTTP, gRPC and the metrics; 0 picks a free one.
        backend_directory: backends of the tritonserver on PATH; None takes those of NVIDIA's container.
        startup_timeout: seconds until the server must answer.
        shared_memory: whether clients may hand over tensors in shared memory.

    Raises:
        BundleError: the bundle is damaged.
        ServingError: the server cannot be started, or died.
        UsageError: host or ports are refused.
        UnavailableError: there is no tritonserver, or the bundle's face finder is missing.
    """
    with _one_interrupt(), ExitStack() as stack:
        verified = Bundle.load(bundle)
        # The server's models would fail to load without it; here its reason stands alone.
        finder_named(verified.manifest.preprocessing.face_finder).create()
        endpoints = choose_endpoints(host, *ports)
        server = stack.enter_context(find_server(backend_directory))
        folder = deploy_to
        if folder is None:
            temporary = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="lnlattennet-serve-", dir=program_folder())
            )
            folder = Path(temporary, "deployment")
        deployment = deploy(verified, folder, server.backends)
        _warn(server, endpoints, verified.manifest.preprocessing)
        stack.enter_context(_pointing_to(deployment.log, kept=deploy_to is not None))
        started = time.monotonic()
        _log.info("starting tritonserver")
        process = stack.enter_context(
            TritonProcess(server, deployment, endpoints, startup_timeout, shared_memory)
        )
        _log.info("answers after %.1f s", time.monotonic() - started)
        try:
            announce(process, deployment)
            _watch(process)
        except KeyboardInterrupt:
            _log.info("stopping")


@contextmanager
def _one_interrupt() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C; the first one stops the command, later ones are ignored."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for stopping in earlier:
            signal.signal(stopping, signal.SIG_IGN)
        raise KeyboardInterrupt

    earlier = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
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


def _watch(process: TritonProcess) -> None:
    """Watch the server: raise ServingError when it dies, log when it stops or resumes answering."""
    answers = True
    while True:
        for _ in range(_CHECKS_PER_PROBE):
            time.sleep(_CHECK_SECONDS)
            process.check()
        answers = _still_answers(process.endpoints, answers)


def _still_answers(endpoints: Endpoints, answered_before: bool) -> bool:
    try:
        probe_model(endpoints.grpc, ENSEMBLE)
    except OverloadedError:
        return answered_before
    except ServingError as error:
        _log.error("%s", error)
        return False
    if not answered_before:
        _log.info("the server answers again")
    return True
