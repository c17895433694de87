"""`lnlattennet serve` as users run it: a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from lnlattennet._cli import main
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.runtimes._requirements import Requirements
from lnlattennet.serving.client._client import Client
from tests.commands import call

COMMAND = Path(sys.executable).with_name("lnlattennet")
ProcessesOf = Callable[[Path], list[int]]

ANY_PORTS = ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("triton_server")]


@contextmanager
def serving(bundle: Path, temporary: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command, running with a folder of its own for temporary files."""
    temporary.mkdir()
    process = subprocess.Popen(
        [COMMAND, "serve", bundle, *ANY_PORTS, *arguments],
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def read_document(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The JSON document that the command prints once its server answers."""
    assert process.stdout
    text = ""
    for line in process.stdout:
        text += line
        if line == "}\n":
            return dict(json.loads(text))
    raise AssertionError(process.communicate()[1])


def assert_nothing_left(process: subprocess.Popen[str], temporary: Path) -> None:
    assert list(temporary.iterdir()) == []
    assert list(Path("/dev/shm").glob(f"lnlattennet-{process.pid}-*")) == []  # noqa: S108


def test_it_answers_until_ctrl_c_and_leaves_nothing(
    bundle_path: Path, tmp_path: Path, images: list[bytes], processes_of: ProcessesOf
) -> None:
    """SIGTERM: tests/serving/supervision/test_supervisor.py."""
    options = ["--json", "--log-format", "json", "--page", "--page-port", "0"]
    with serving(bundle_path, tmp_path / "temporary", *options) as process:
        document = read_document(process)
        with Client(document["grpc"], document["model"]) as client:
            assert len(client.predict(images)) == len(images)
        with urlopen(document["page"] + "/model", timeout=30) as answer:  # noqa: S310 - it is of this machine
            engines = json.load(answer)["engines"]
        assert {"onnxruntime", "openvino"} <= {engine["name"].partition("-")[0] for engine in engines}
        address = urlsplit(document["page"])
        with socket.create_connection((address.hostname, address.port)) as connection:
            # Which uvicorn logs.
            connection.sendall(b"no HTTP\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 400")
        process.send_signal(signal.SIGINT)
        rest, log = process.communicate(timeout=30)
    assert process.returncode == 0, log
    assert rest == ""
    messages = [json.loads(line)["message"] for line in log.splitlines()]
    assert any("for development only" in message for message in messages)
    assert "Invalid HTTP request received." in messages
    assert_nothing_left(process, tmp_path / "temporary")
    assert processes_of(tmp_path) == []


def test_a_port_of_the_page_that_is_taken_is_told_before_a_server_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = call(main, "lnlattennet", "serve", tmp_path, "--page", "--page-port", port)
    assert result.returncode == 1
    assert f"port {port} (Address already in use): choose another with --page-port" in result.stderr


def test_the_port_of_a_page_that_is_not_asked_for_is_refused(tmp_path: Path) -> None:
    result = call(main, "lnlattennet", "serve", tmp_path, "--page-port", "8081")
    assert result.returncode == 2
    assert "--page-port is for --page: add it, or leave --page-port out" in result.stderr


def test_the_last_error_is_an_event_of_the_log(tmp_path: Path) -> None:
    result = call(main, "lnlattennet", "serve", tmp_path, "--log-format", "json")
    assert result.returncode == 1
    last = json.loads(result.stderr.splitlines()[-1])
    assert (last["event"], last["level"]) == ("error", "ERROR")
    assert str(tmp_path) in last["message"]


def test_a_full_shared_memory_is_told_before_a_server_starts(bundle_path: Path, tmp_path: Path) -> None:
    full = "mount -t tmpfs -o size=512k tmpfs /dev/shm && "
    apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*apart, full + "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets no user mount a file system for himself")
    out = tmp_path / "out"
    serve = [str(COMMAND), "serve", str(bundle_path), *ANY_PORTS, "--deploy-to", str(out)]
    command = [*apart, full + 'exec "$0" "$@"', *serve]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "shm, which must have 8 MiB free and has 0.5" in done.stderr
    assert "--shm-size 64m" in done.stderr
    assert not out.exists()


def test_an_engine_for_another_machine_is_served_nowhere_here(bundle_copy: Path, tmp_path: Path) -> None:
    manifest = Bundle.load(bundle_copy).manifest
    needs = Requirements(device="cpu", packages={"openvino": "==1.0", "onnxruntime": "==1.0"})
    chosen = manifest.engine().model_copy(update={"requires": needs})
    engines = [chosen if one.name == chosen.name else one for one in manifest.engines]
    changed = manifest.model_copy(update={"engines": engines})
    (bundle_copy / "manifest.json").write_text(changed.model_dump_json())
    deployed = call(main, "lnlattennet", "deploy", bundle_copy, "-o", tmp_path / "out")
    assert deployed.returncode == 0
    assert "written, but for another machine than this" in deployed.stderr
    for folder in (bundle_copy, tmp_path / "out"):
        served = call(main, "lnlattennet", "serve", folder, *ANY_PORTS)
        assert served.returncode == 4
        assert f"engine {chosen.name}, which is to be served, cannot run here" in served.stderr
        assert "==1.0, here is " in served.stderr
        assert "deploy one of them with --engine" in served.stderr
    other = next(one.name for one in manifest.engines if one.name != chosen.name)
    again = call(main, "lnlattennet", "deploy", bundle_copy, "-o", tmp_path / "other", "--engine", other)
    assert (again.returncode, "another machine" in again.stderr) == (0, False)


def test_an_unknown_server_backend_is_refused(bundle_path: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    command = [str(COMMAND), "deploy", str(bundle_path), "-o", out, "--server-backend", "onnx"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--server-backend must be one of onnxruntime, tensorrt, got 'onnx'" in done.stderr
    assert not Path(out).exists()


def test_a_deployment_is_served_where_it_is(bundle_path: Path, tmp_path: Path, images: list[bytes]) -> None:
    deployment = tmp_path / "deployment"
    written = subprocess.run(
        [COMMAND, "deploy", bundle_path, "-o", deployment], capture_output=True, text=True, check=False
    )
    assert written.returncode == 0, written.stderr
    with serving(deployment, tmp_path / "temporary", "--json") as process:
        document = read_document(process)
        assert document["deployment"] == str(deployment)
        with Client(document["grpc"]) as client:
            assert len(client.predict(images)) == len(images)
        again = subprocess.run(
            [COMMAND, "serve", deployment, *ANY_PORTS], capture_output=True, text=True, check=False
        )
        assert again.returncode == 1
        assert "is being served by another process" in again.stderr
    assert {path.name for path in deployment.iterdir()} == {
        "active",
        "bundle",
        "models",
        "server.log",
        "versions",
    }


def test_the_server_dies_with_a_killed_command(
    bundle_path: Path, tmp_path: Path, processes_of: ProcessesOf
) -> None:
    with serving(bundle_path, tmp_path / "temporary", "--json") as process:
        read_document(process)
        process.kill()
        deadline = time.monotonic() + 20
        while processes_of(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.1)
    assert processes_of(tmp_path) == []
