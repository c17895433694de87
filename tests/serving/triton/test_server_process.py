"""Starting, watching and stopping: reasons of failures, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lnlattennet._cli import main
from lnlattennet.bundle._bundle import Bundle, hash_file
from lnlattennet.bundle._files import MANIFEST_NAME
from lnlattennet.errors import ServingError, UnavailableError, UsageError
from lnlattennet.serving.triton._deployment import Deployment
from lnlattennet.serving.triton._discovery import TritonServer
from lnlattennet.serving.triton._endpoints import Endpoints, choose_endpoints
from lnlattennet.serving.triton._model_names import PIPELINE
from lnlattennet.serving.triton._process import PythonModelError, TritonProcess
from lnlattennet.serving.triton._processes import group_members, is_member, model_of
from lnlattennet.serving.triton._repository import deploy
from lnlattennet.serving.triton._service import serve_bundle
from tests.commands import call
from tests.conftest import Serve

pytestmark = pytest.mark.slow

ProcessesOf = Callable[[Path], list[int]]


def shared_memory() -> list[str]:
    return [path.name for path in Path("/dev/shm").glob(f"lnlattennet-{os.getpid()}-*")]  # noqa: S108


@pytest.fixture
def deployment(bundle_path: Path, triton_server: TritonServer, tmp_path: Path) -> Deployment:
    return deploy(Bundle.load(bundle_path), tmp_path / "deployment", triton_server.backends)


def start(server: TritonServer, deployment: Deployment) -> TritonProcess:
    return TritonProcess(server, deployment, choose_endpoints("127.0.0.1", 0, 0, 0))


def test_a_dead_python_process_is_noticed_and_nothing_is_left(
    triton_server: TritonServer, deployment: Deployment, processes_of: ProcessesOf
) -> None:
    before = shared_memory()
    with start(triton_server, deployment) as process:
        running = processes_of(deployment.path)
        process.check()
        stub = next(pid for pid in running if pid != process.pid)
        os.kill(stub, signal.SIGKILL)
        deadline = time.monotonic() + 10
        with pytest.raises(ServingError, match=r"a process of the model .* died"):  # noqa: PT012
            while time.monotonic() < deadline:
                process.check()
                time.sleep(0.05)
    assert len(running) >= 4
    assert processes_of(deployment.path) == []
    assert shared_memory() == before


def test_a_dead_server_whose_threads_still_end_is_no_dead_python_process(
    triton_server: TritonServer, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (  # noqa: PT012
        pytest.raises(ServingError, match=r"the server stopped by itself \(signal SIGKILL\)"),
        start(triton_server, deployment) as process,
        monkeypatch.context() as patch,
    ):
        os.kill(process.pid, signal.SIGKILL)
        while is_member(process.pid, process.pid):
            time.sleep(0.01)
        # As while its last threads end.
        patch.setattr(process._process, "poll", lambda: None)
        process.check()


def test_a_process_that_dies_while_another_model_is_started_again_is_found(
    bundle_path: Path, serve: Serve
) -> None:
    with serve(bundle_path) as process:
        models = {model: pid for pid in group_members(process.pid) if (model := model_of(pid))}
        (pipeline,) = (model for model in models if model.startswith(PIPELINE))
        others = {pid: model for model, pid in models.items() if model != pipeline}
        for pid in (models[pipeline], *others):
            os.kill(pid, signal.SIGKILL)
        while any(is_member(pid, process.pid) for pid in (models[pipeline], *others)):
            time.sleep(0.01)
        process.restart_models(PythonModelError("died", others))
        with pytest.raises(PythonModelError, match=f"{pipeline} died") as found:
            process.check()
        process.restart_models(found.value)
        process.check()


def test_a_flipped_byte_stops_the_start_with_its_reason(
    triton_server: TritonServer, deployment: Deployment, processes_of: ProcessesOf
) -> None:
    manifest = Bundle.load(deployment.bundle).manifest
    engine = deployment.bundle / manifest.engine().file
    content = bytearray(engine.read_bytes())
    content[len(content) // 2] ^= 1
    engine.write_bytes(content)
    before = shared_memory()
    with pytest.raises(
        ServingError, match=r"expression_pipeline.*: .*was changed after the export"
    ) as caught:
        start(triton_server, deployment).__enter__()
    assert "At:" not in str(caught.value)
    assert processes_of(deployment.path) == []
    assert shared_memory() == before


def test_an_engine_that_cannot_be_read_stops_the_start_with_its_reason(
    triton_server: TritonServer, deployment: Deployment, processes_of: ProcessesOf
) -> None:
    manifest = Bundle.load(deployment.bundle).manifest
    name = manifest.engine().file
    (deployment.bundle / name).write_bytes(b"no engine")
    forged = manifest.model_copy(
        update={"files": manifest.files | {name: hash_file(deployment.bundle / name)}}
    )
    (deployment.bundle / MANIFEST_NAME).write_text(forged.model_dump_json())
    with pytest.raises(ServingError, match=r"expression_pipeline.*: .*is not an ONNX file"):
        start(triton_server, deployment).__enter__()
    assert processes_of(deployment.path) == []


def test_a_face_finder_that_is_missing_stops_the_start_with_its_reason(
    triton_server: TritonServer, deployment: Deployment, processes_of: ProcessesOf
) -> None:
    manifest = json.loads((deployment.bundle / MANIFEST_NAME).read_text())
    manifest["preprocessing"]["face_finder"] = "eyes"
    (deployment.bundle / MANIFEST_NAME).write_text(json.dumps(manifest))

    def refused() -> str:
        with pytest.raises(ServingError) as refusal:
            start(triton_server, deployment).__enter__()
        return str(refusal.value)

    reason = refused()
    if "lock_exception" in reason:  # a race in Triton 2.51.0, while one of its Python models ends
        reason = refused()
    assert re.search(r"_pipeline.*: .*unknown face finder 'eyes'; known: haar", reason)
    assert processes_of(deployment.path) == []


def test_serve_refuses_a_missing_face_finder_before_it_starts_anything(
    bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise UnavailableError("the face finder needs a package, which is not installed")

    def announce(*_: object) -> None:
        pytest.fail("the server was started")

    monkeypatch.setattr("lnlattennet.images.finders._haar.create", missing)
    with pytest.raises(UnavailableError, match="needs a package"):
        serve_bundle(
            bundle_path,
            announce,
            deploy_to=None,
            host="127.0.0.1",
            ports=(0, 0, 0),
            backend_directory=None,
            startup_timeout=60,
            shared_memory=False,
        )


def test_a_server_that_is_too_slow_is_stopped(
    triton_server: TritonServer, deployment: Deployment, processes_of: ProcessesOf
) -> None:
    endpoints = choose_endpoints("127.0.0.1", 0, 0, 0)
    with pytest.raises(ServingError, match=r"not ready within 0\.2 s.*--startup-timeout"):
        TritonProcess(triton_server, deployment, endpoints, startup_timeout=0.2).__enter__()
    assert processes_of(deployment.path) == []


@pytest.mark.parametrize("flag", ["--http-port", "--grpc-port", "--metrics-port"])
def test_a_taken_port_is_refused_with_its_flag(flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"--http-port": 0, "--grpc-port": 0, "--metrics-port": 0} | {flag: port}
        with pytest.raises(ServingError, match=rf"port {port} .*{flag}"):
            choose_endpoints("127.0.0.1", *ports.values())


def test_all_taken_ports_are_named_at_once() -> None:
    address = ("127.0.0.1", 0)
    with socket.create_server(address) as grpc, socket.create_server(address) as health:
        ports = [server.getsockname()[1] for server in (grpc, health)]
        both = rf"port {ports[0]} .*--grpc-port.*\n.*port {ports[1]} .*--health-port"
        with pytest.raises(ServingError, match=both):
            choose_endpoints("127.0.0.1", 0, ports[0], 0, ports[1])


def test_free_ports_differ() -> None:
    endpoints = choose_endpoints("127.0.0.1", 0, 0, 0)
    assert len({endpoints.http_port, endpoints.grpc_port, endpoints.metrics_port}) == 3


@pytest.mark.parametrize(
    ("ports", "said"),
    [
        ((8000, 8000, 0, None), "--http-port 8000, --grpc-port 8000: choose"),
        ((8000, 8001, 0, 8000), "--http-port 8000, --grpc-port 8001, --health-port 8000: choose"),
    ],
)
def test_the_same_port_twice_is_refused(ports: tuple[int, int, int, int | None], said: str) -> None:
    with pytest.raises(UsageError, match=f"the ports must differ, got {said}"):
        choose_endpoints("127.0.0.1", *ports)


def test_the_health_port_is_compared_before_a_server_starts(bundle_path: Path) -> None:
    result = call(main, "lnlattennet", "serve", bundle_path, "--health-port", "8000")
    assert result.returncode == 2
    assert "--health-port 8000: choose others" in result.stderr


@pytest.mark.parametrize("seconds", ["inf", "1e12"])
def test_a_time_for_which_grpc_does_not_wait_is_refused(seconds: str, tmp_path: Path) -> None:
    result = call(main, "lnlattennet", "serve", tmp_path, "--startup-timeout", seconds)
    assert result.returncode == 2
    assert "'--startup-timeout': Input should be less than or equal to 86400" in result.stderr


@pytest.mark.parametrize("host", ["nowhere.invalid", "two..dots", "a" * 64, ""])
def test_an_unknown_host_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match=rf"--host .*'{re.escape(host)}'"):
        choose_endpoints(host, 0, 0, 0)


def test_clients_reach_a_server_on_all_addresses_by_loopback() -> None:
    everywhere = Endpoints("0.0.0.0", 1, 2, 3)  # noqa: S104
    assert (everywhere.http, everywhere.grpc) == ("http://127.0.0.1:1", "grpc://127.0.0.1:2")
    assert not everywhere.is_loopback


def test_a_host_name_becomes_an_address() -> None:
    endpoints = choose_endpoints("localhost", 0, 0, 0)
    assert endpoints.host == "127.0.0.1"
    assert endpoints.is_loopback


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(UsageError, match=r"address of this machine, got 192\.0\.2\.1"):
        choose_endpoints("192.0.2.1", 0, 0, 0)
