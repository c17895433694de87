"""TLS: a server behind an endpoint that speaks it, with certificates that are right and that are not."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from lnlattennet._cli import main
from lnlattennet.errors import UnreachableError, UsageError
from lnlattennet.images._blank import blank_png
from lnlattennet.serving.client._async_client import AsyncClient
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.client._protocols import choose_protocol
from lnlattennet.serving.client._tls import TLSConfig
from lnlattennet.serving.triton._process import TritonProcess
from tests.commands import call

pytest.importorskip("tritonclient")

SCHEMES = ["grpc", "http"]


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextmanager
def tls_endpoint(url: str, context: ssl.SSLContext) -> Iterator[str]:
    """Decrypt what comes in, and pass it on to the server at ``url``; yield the URL of that."""
    scheme, _, location = url.partition("://")
    host, _, port = location.partition(":")

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))

    async def serve() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with await asyncio.start_server(connected, sock=listening, ssl=context):
            started.set_result(lambda: loop.call_soon_threadsafe(stopping.set))
            await stopping.wait()

    started: Future[Callable[[], object]] = Future()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        stop = started.result(10)
        yield f"{scheme}s://localhost:{listening.getsockname()[1]}"
        stop()
        thread.join()


class Authority:
    """A certificate authority with its files.

    Attributes:
        ca: the file of its certificate.
        certificate: a file with a client's certificate.
        key: the file of its key.
        context: a server's, for localhost.
    """

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca, self.certificate, self.key = (folder / f"{name}.pem" for name in ("ca", "client", "key"))
        authority.cert_pem.write_to_path(self.ca)
        client = authority.issue_cert("client@example.org")
        client.private_key_pem.write_to_path(self.key)
        client.cert_chain_pems[0].write_to_path(self.certificate)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca)
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        authority.issue_cert("localhost").configure_cert(self.context)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module", params=SCHEMES)
def endpoint(request: pytest.FixtureRequest, server: TritonProcess, authority: Authority) -> Iterator[str]:
    with tls_endpoint(getattr(server.endpoints, request.param), authority.context) as url:
        yield url


@pytest.fixture
def asking_endpoint(
    request: pytest.FixtureRequest, server: TritonProcess, tmp_path: Path
) -> Iterator[tuple[str, Authority]]:
    """One that asks its clients for a certificate, too."""
    authority = Authority(tmp_path)
    authority.context.verify_mode = ssl.CERT_REQUIRED
    with tls_endpoint(getattr(server.endpoints, request.param), authority.context) as url:
        yield url, authority


async def predict_async(url: str, tls: TLSConfig) -> str:
    async with AsyncClient(url, tls=tls) as client:
        return (await client.predict(blank_png())).status


def test_a_trusted_server_answers(endpoint: str, authority: Authority) -> None:
    tls = TLSConfig(ca=authority.ca)
    with Client(endpoint, tls=tls) as client:
        assert client.predict(blank_png()).status == "no_face"
    assert asyncio.run(predict_async(endpoint, tls)) == "no_face"


def test_a_server_of_another_authority_is_not_trusted(endpoint: str, tmp_path: Path) -> None:
    reason = re.compile("certificate|handshake|ssl", re.IGNORECASE)
    for tls in (None, TLSConfig(ca=Authority(tmp_path).ca)):
        with pytest.raises(UnreachableError, match=reason):
            Client(endpoint, tls=tls, timeout=5)
    with pytest.raises(UnreachableError, match=reason):
        asyncio.run(predict_async(endpoint, TLSConfig()))


def test_a_server_of_another_name_is_not_trusted(endpoint: str, authority: Authority) -> None:
    with pytest.raises(UnreachableError):
        Client(endpoint.replace("localhost", "127.0.0.1"), tls=TLSConfig(ca=authority.ca), timeout=5)


@pytest.mark.parametrize("asking_endpoint", SCHEMES, indirect=True)
def test_a_client_shows_its_certificate(asking_endpoint: tuple[str, Authority]) -> None:
    url, authority = asking_endpoint
    tls = TLSConfig(authority.ca, authority.certificate, authority.key)
    with Client(url, tls=tls) as client:
        assert client.predict(blank_png()).status == "no_face"
    assert asyncio.run(predict_async(url, tls)) == "no_face"
    with pytest.raises(UnreachableError):
        Client(url, tls=TLSConfig(authority.ca), timeout=5)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_server_without_tls_is_no_answer(server: TritonProcess, scheme: str) -> None:
    url = getattr(server.endpoints, scheme).replace("://", "s://")
    with pytest.raises(UnreachableError, match=f"no answer from a Triton server at {url}"):
        Client(url, timeout=5)


def test_the_command_asks_over_tls(endpoint: str, authority: Authority, tmp_path: Path) -> None:
    image = tmp_path / "blank.png"
    image.write_bytes(blank_png())
    asked = ["predict", image, "--url", endpoint, "--json", "--header", "x-api-key: key", "--retries", "1"]
    result = call(main, "lnlattennet", *asked, "--ca", authority.ca)
    assert json.loads(result.stdout)["predictions"][0]["status"] == "no_face"
    assert "no answer from a Triton server" in call(main, "lnlattennet", *asked).stderr


def test_certificates_need_an_encrypted_connection(authority: Authority) -> None:
    with pytest.raises(UsageError, match="certificates need an encrypted connection: grpcs:// or https://"):
        Client("grpc://127.0.0.1:1", tls=TLSConfig(ca=authority.ca))


def test_files_are_checked_before_anything_is_sent(authority: Authority, tmp_path: Path) -> None:
    no_pem = tmp_path / "text.pem"
    no_pem.write_text("text")
    for options in (
        {"ca": tmp_path / "missing.pem"},
        {"ca": no_pem},
        {"certificate": authority.certificate, "key": no_pem},
        {"certificate": authority.ca, "key": authority.key},
    ):
        with pytest.raises(UsageError, match=r"TLS needs PEM files of certificates and keys, got .*\.pem"):
            TLSConfig(**options)
    with pytest.raises(UsageError, match="give both"):
        TLSConfig(certificate=authority.certificate)


def test_without_tls_no_certificates_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes longer than a request, and a prober makes a client for each."""
    monkeypatch.setattr(ssl, "create_default_context", lambda **_: pytest.fail("certificates were loaded"))
    choose_protocol("http://127.0.0.1:8000", 1.0, None, None)
    choose_protocol("grpc://127.0.0.1:8001", 1.0, None, None)
