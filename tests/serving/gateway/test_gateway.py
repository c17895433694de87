"""The gateway as a process of its own, before a real server: answers, limits, TLS, and its end."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from lnlattennet._cli import main
from lnlattennet.errors import UnavailableError
from lnlattennet.serving.gateway._packages import require_gateway
from lnlattennet.serving.supervision._known_face import known_face
from lnlattennet.serving.triton._process import TritonProcess
from tests.commands import call

pytest.importorskip("tritonclient")
pytest.importorskip("starlette")

KEY, OTHER_KEY = "k" * 32, "o" * 32
LIMIT = 200_000
ORIGIN = "https://app.example"


class Running:
    def __init__(self, port: int, tls: ssl.SSLContext, process: subprocess.Popen[bytes], log: Path) -> None:
        self.port, self.tls, self.process, self.log = port, tls, process, log

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", self.port, context=self.tls, timeout=30)

    def ask(
        self,
        path: str = "/v1/predict",
        body: bytes | Iterator[bytes] | None = None,
        method: str = "POST",
        **headers: str,
    ) -> tuple[int, str, http.client.HTTPMessage]:
        with contextlib.closing(self.connect()) as connection:
            sent = {"Authorization": f"Bearer {KEY}"} | {k.replace("_", "-"): v for k, v in headers.items()}
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def gateway(server: TritonProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "keys").write_text(f"{KEY}\n{OTHER_KEY}\n")
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "pem"))
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    port = _free_port()
    command = [sys.executable, "-m", "lnlattennet", "gateway", "--url", server.endpoints.grpc]
    command += ["--port", str(port), "--keys", str(folder / "keys"), "--certificate", str(folder / "pem")]
    command += ["--max-body", str(LIMIT), "--read-timeout", "1", "--rate", "30"]
    command += ["--cors-origin", ORIGIN, "--log-format", "json"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    running = Running(port, tls, process, folder / "log")
    try:
        while True:
            assert process.poll() is None, (folder / "log").read_text()
            with contextlib.suppress(ConnectionRefusedError):
                if running.ask("/livez", method="GET")[0] == 200:
                    break
            time.sleep(0.1)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, (folder / "log").read_text()


def test_the_largest_face(gateway: Running) -> None:
    status, text, _ = gateway.ask(body=known_face())
    assert status == 200
    document = json.loads(text)
    assert document["errors"] == []
    (face,) = document["predictions"]
    assert face["label"] in face["probabilities"]


def test_every_face(gateway: Running) -> None:
    status, text, _ = gateway.ask("/v1/predict?max_faces=3&min_face=5", known_face())
    assert status == 200
    assert 1 <= len(json.loads(text)["predictions"]) <= 3


def test_probes_and_description(gateway: Running) -> None:
    assert gateway.ask("/readyz", method="GET", Authorization="")[0] == 200
    status, text, _ = gateway.ask("/openapi.json", method="GET", Authorization="")
    assert status == 200
    assert "/v1/predict" in json.loads(text)["paths"]


@pytest.mark.parametrize("value", ["", f"Basic {KEY}", "Bearer wrong", f"Bearer {KEY[:-1]}"])
def test_a_wrong_key(gateway: Running, value: str) -> None:
    status, _, headers = gateway.ask(body=known_face(), Authorization=value)
    assert status == 401
    assert headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "query", ["max_faces=0", "max_faces=x", "min_face=3", "max_faces=1&min_face=nan", "other=1"]
)
def test_a_wrong_parameter(gateway: Running, query: str) -> None:
    assert gateway.ask(f"/v1/predict?{query}", known_face())[0] == 400


def test_an_image_that_is_none(gateway: Running) -> None:
    status, text, _ = gateway.ask(body=b"no image")
    assert status == 422
    assert not any(word in text for word in ("Traceback", "/", "://"))


def test_bodies_too_large_or_compressed(gateway: Running) -> None:
    assert gateway.ask(body=bytes(LIMIT + 1))[0] == 413
    # Without Content-Length, in chunks.
    assert gateway.ask(body=iter([bytes(LIMIT), b"1"]))[0] == 413
    assert gateway.ask(body=known_face(), Content_Encoding="gzip")[0] == 415


def test_a_slow_client_is_cut_off(gateway: Running) -> None:
    with contextlib.closing(gateway.connect()) as connection:
        connection.putrequest("POST", "/v1/predict")
        connection.putheader("Authorization", f"Bearer {KEY}")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b"a little")
        answer = connection.getresponse()
        assert answer.status == 408
        assert answer.headers["Connection"] == "close"


def test_other_origins_and_methods(gateway: Running) -> None:
    headers = gateway.ask(body=known_face(), Origin="https://other.example")[2]
    assert "Access-Control-Allow-Origin" not in headers
    assert gateway.ask(method="GET")[0] == 405
    assert gateway.ask("/v2/models")[0] == 404
    assert gateway.ask("/v1/predict/", body=known_face())[0] == 404


def test_a_page_of_a_listed_origin_may_ask(gateway: Running) -> None:
    asked: dict[str, Any] = {"Access_Control_Request_Method": "POST"}
    asked["Access_Control_Request_Headers"] = "authorization"
    status, _, headers = gateway.ask(method="OPTIONS", Origin=ORIGIN, Authorization="", **asked)
    assert status == 200
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    status, _, headers = gateway.ask(body=known_face(), Origin=ORIGIN, Authorization="")
    # The page can read why it was refused.
    assert (status, headers["Access-Control-Allow-Origin"]) == (401, ORIGIN)
    other = gateway.ask(method="OPTIONS", Origin="https://other.example", **asked)
    assert other[0] == 400
    assert "Access-Control-Allow-Origin" not in other[2]


@pytest.mark.parametrize("origin", ["*", "app.example", "https://app.example/page", "file://x"])
def test_what_is_no_origin(origin: str) -> None:
    result = call(main, "lnlattennet", "gateway", "--cors-origin", origin)
    assert result.returncode == 2
    assert "such as https://app.example" in result.stderr


def form(*parts: tuple[str, bytes]) -> bytes:
    lines = [
        b"--X\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (head.encode(), body)
        for head, body in parts
    ]
    return b"".join(lines) + b"--X--\r\n"


def ask_form(gateway: Running, body: bytes, kind: str = "multipart/form-data; boundary=X") -> tuple[int, str]:
    return gateway.ask(body=body, Content_Type=kind)[:2]


FILE = 'name="image"; filename="a/../b.jpg"'


def test_a_form_with_an_image(gateway: Running) -> None:
    status, text = ask_form(gateway, form((FILE, known_face())))
    assert status == 200
    assert json.loads(text) == json.loads(gateway.ask(body=known_face())[1])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(form((FILE, b"1"), (FILE, b"2")), id="two files"),
        pytest.param(form((FILE, b"1"), ('name="max_faces"', b"2")), id="another field"),
        pytest.param(form(('name="image"', b"1")), id="no file"),
        pytest.param(form(('name="photo"; filename="a"', b"1")), id="another name"),
        pytest.param(form(("x", b"1")), id="no name"),
        pytest.param(b"", id="empty"),
        pytest.param(form((FILE, known_face()))[:500], id="cut off"),
        pytest.param(b"\0" * 1000, id="no form"),
    ],
)
def test_a_form_without_one_image(gateway: Running, body: bytes) -> None:
    status, text = ask_form(gateway, body)
    assert status == 400
    assert json.loads(text) == {"error": "a form must have one file in the field 'image', and nothing else"}


def test_forms_too_large_or_without_boundary(gateway: Running) -> None:
    assert ask_form(gateway, form((FILE, bytes(LIMIT + 1))))[0] == 413
    assert ask_form(gateway, form((FILE, bytes(2 * LIMIT))))[0] == 413
    assert ask_form(gateway, form((FILE, bytes(LIMIT))))[0] == 422
    for kind in ("multipart/form-data", "multipart/form-data; boundary=" + "X" * 1000):
        assert ask_form(gateway, form((FILE, known_face())), kind)[0] == 400


def test_the_pages(gateway: Running) -> None:
    for path, kind in (
        ("/docs", "text/html"),
        ("/docs/docs.js", "text/javascript"),
        ("/docs/docs.css", "text/css"),
    ):
        status, text, headers = gateway.ask(path, method="GET", Authorization="")
        assert status == 200
        assert headers["Content-Type"].startswith(kind)
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        # Nothing of another server.
        assert "//" not in text.removeprefix("<!doctype html>")


def test_each_request_is_a_line_of_the_log(gateway: Running) -> None:
    gateway.ask("/v1/predict?max_faces=0", known_face())
    lines = [json.loads(line) for line in gateway.log.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    last = lines[-1]
    asked = [last[name] for name in ("event", "method", "path", "status")]
    assert asked == ["request", "POST", "/v1/predict?max_faces=0", 400]
    assert KEY not in gateway.log.read_text()


def test_too_many_requests_of_one_key(gateway: Running) -> None:
    answers = []
    with contextlib.closing(gateway.connect()) as connection:
        # 30 at once are allowed; a wrong parameter is cheap, and counts.
        for _ in range(2000):
            connection.request("POST", "/v1/predict?x=1", headers={"Authorization": f"Bearer {OTHER_KEY}"})
            answer = connection.getresponse()
            answer.read()
            answers.append(answer.status)
            if answer.status == 429:
                assert int(answer.headers["Retry-After"]) >= 1
                break
    assert answers[:30] == [400] * 30
    assert answers[-1] == 429


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104
def test_the_network_needs_keys(host: str) -> None:
    result = call(main, "lnlattennet", "gateway", "--host", host)
    assert result.returncode == 2
    assert "--keys FILE" in result.stderr


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = call(main, "lnlattennet", "gateway", "--port", port)
    assert result.returncode == 1
    text = f"cannot listen on 127.0.0.1 port {port} (Address already in use): choose others with --host and"
    assert text in result.stderr
    unknown = call(main, "lnlattennet", "gateway", "--host", "nowhere.invalid", "--without-keys")
    assert unknown.returncode == 1
    assert "cannot listen on nowhere.invalid port 8080" in unknown.stderr


@pytest.mark.parametrize("host", ["two..dots", "a" * 64])
def test_a_host_that_is_no_name(host: str) -> None:
    result = call(main, "lnlattennet", "gateway", "--host", host, "--without-keys")
    assert result.returncode == 1
    assert f"cannot listen on {host} port 8080 (a part of the name is empty or longer" in result.stderr


def test_a_rate_without_end_is_refused() -> None:
    result = call(main, "lnlattennet", "gateway", "--rate", "inf")
    assert result.returncode == 2
    assert "'--rate': Input should be less than or equal to 1000000" in result.stderr


def test_an_interrupt_before_it_answers() -> None:
    command = [sys.executable, "-m", "lnlattennet", "gateway", "--port", str(_free_port())]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"grpc://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen([*command, "--url", url], stderr=subprocess.PIPE, text=True)
        with silent.accept()[0]:
            process.send_signal(signal.SIGINT)
            _, log = process.communicate(timeout=30)
    assert process.returncode == 130, log
    assert log.endswith("interrupted\n")


@pytest.mark.parametrize("package", ["uvicorn", "httptools", "starlette", "python_multipart"])
def test_a_package_that_is_missing(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UnavailableError, match=r"lnlattennet\[gateway\]"):
        require_gateway()


def test_certificates_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    for name in ("text.pem", "missing.pem", "."):
        result = call(main, "lnlattennet", "gateway", "--certificate", tmp_path / name)
        assert result.returncode == 2
        assert "must be PEM files of a certificate and of its private key" in result.stderr


def test_keys_that_can_be_guessed(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("secret\n")
    result = call(main, "lnlattennet", "gateway", "--keys", tmp_path / "keys")
    assert result.returncode == 2
    assert "openssl rand -hex 32" in result.stderr
