"""The client: its errors, and its requests to a real server."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from lnlattennet.errors import ImageError, ServingError, UsageError
from lnlattennet.serving.client._address import is_on_this_machine, parse_url
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.triton._process import TritonProcess

pytest.importorskip("tritonclient")

SCHEMES = ["grpc", "http"]

astronaut: Callable[[], NDArray[np.uint8]] = data.astronaut


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def answering(listening: socket.socket, reply: bytes) -> None:
    """Let a thread answer every connection with `reply` and hang up."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(reply)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()


def jpeg(shift: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.roll(astronaut(), shift, axis=1)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize(
    "url",
    [
        "https://host",
        "grpcss://host:8001",
        "grpc://",
        "grpc://host",
        "http://host:8000/v2",
        "grpc://a b:1",
        "http://host:99999",
        "http://host:0",
        "grpc://host:٨٠٠١",
        "grpc://a..b:1",
        "http://" + "a" * 64 + ":1",
        "http://[::1:80",
        "grpc://[1.2.3.4]:80",
        "http://a,b:1",
        "grpc+unix:///run/it.sock",
        "",
    ],
)
def test_other_urls_are_refused_with_both_spellings(url: str) -> None:
    with pytest.raises(UsageError, match=r"must be grpc://host:port .* or http://host:port .*, got"):
        Client(url)


@pytest.mark.parametrize("url", [None, 8001, b"grpc://127.0.0.1:8001", Path("grpc://127.0.0.1:8001")])
def test_what_is_no_text_is_no_url(url: Any) -> None:
    with pytest.raises(UsageError, match=f"must be grpc://host:port .*, got {type(url).__name__}"):
        Client(url)


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(UsageError, match=r"got 'http://\.\.\.@host:1' .*belong in a header") as refused:
        Client("http://anna:secret@host:1")
    assert "secret" not in str(refused.value)


def test_schemes_may_be_capitals() -> None:
    assert str(parse_url("HTTPS://[fe80::1%eth0]:8000/")) == "https://[fe80::1%eth0]:8000"


def test_a_missing_scheme_is_named() -> None:
    with pytest.raises(UsageError, match=r"got '127.0.0.1:8001' \(the scheme is missing\)"):
        Client("127.0.0.1:8001")


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 1e12, 10**400, "5", None])
def test_a_timeout_must_be_positive(timeout: Any) -> None:
    with pytest.raises(UsageError, match="positive number of seconds"):
        Client("grpc://127.0.0.1:8001", timeout=timeout)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_refused_connection_is_an_error_with_a_remedy(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_again:
        port = closed_again.getsockname()[1]
    with pytest.raises(
        ServingError, match=f"no answer from a Triton server at {scheme}://127.0.0.1:{port}: .*serve BUNDLE"
    ):
        Client(f"{scheme}://127.0.0.1:{port}", timeout=5)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_unknown_host_is_named(scheme: str) -> None:
    with pytest.raises(ServingError, match="no answer from a Triton server at"):
        Client(f"{scheme}://no-such-host.invalid:8001", timeout=5)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_silence_ends_with_the_timeout(scheme: str, listener: socket.socket) -> None:
    started = time.monotonic()
    with pytest.raises(ServingError, match=r"no answer within 0\.4 s; allow more with --timeout"):
        Client(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", timeout=0.4)
    assert 0.3 < time.monotonic() - started < 3


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["hangs up", "ssh", "cut off", "html", "not found", "list", "empty object"],
)
def test_another_program_is_not_a_server(scheme: str, reply: bytes, listener: socket.socket) -> None:
    answering(listener, reply)
    with pytest.raises(ServingError, match="lnlattennet serve BUNDLE"):
        Client(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", timeout=5)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_more_images_than_a_batch_are_split(server: TritonProcess, scheme: str) -> None:
    with Client(getattr(server.endpoints, scheme)) as client:
        images = [jpeg(10 * index) for index in range(client.description.max_batch_size + 3)]
        together = client.predict(images)
        assert client.predict([]) == []
        for image, prediction in list(zip(images, together, strict=True))[-4:]:
            (alone,) = client.predict([image])
            assert alone.face_box == prediction.face_box
            assert alone.logits == pytest.approx(prediction.logits, abs=1e-4)
    assert together[0].face_found
    assert list(together[0].probabilities) == client.description.class_names


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_unknown_model_is_named(server: TritonProcess, scheme: str) -> None:
    with pytest.raises(ServingError, match=r"nonsense.*serves the models 'expression'"):
        Client(getattr(server.endpoints, scheme), "nonsense")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_model_that_takes_no_images_is_refused(server: TritonProcess, scheme: str) -> None:
    with pytest.raises(ServingError, match="'lnlattennet' has no usable parameters class_names and grid"):
        Client(getattr(server.endpoints, scheme), "lnlattennet")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("model", ["expression", "expression_fused"])
def test_a_refused_image_is_an_image_error(server: TritonProcess, scheme: str, model: str) -> None:
    with Client(getattr(server.endpoints, scheme), model) as client:
        with pytest.raises(
            ImageError, match=r"^image 0 of the batch: an image must be a JPEG or PNG file, got GIF"
        ):
            client.predict([b"GIF89a"])
        with pytest.raises(ImageError, match=r"^an image must be a JPEG or PNG file, got an empty file"):
            client.predict(b"")
        assert client.predict(jpeg()).face_found


@pytest.mark.parametrize("max_faces", [None, 3])
def test_a_refused_image_keeps_its_place_in_a_long_list(server: TritonProcess, max_faces: int | None) -> None:
    limits = {} if max_faces is None else {"max_faces": max_faces}
    with Client(server.endpoints.grpc) as client:
        good = [jpeg()] * (client.description.max_batch_size + 1)
        with pytest.raises(ImageError, match=f"^image {len(good)} of the batch: an image must be"):
            client.predict([*good, b"GIF89a"], **limits)


def test_an_http_client_stays_in_its_thread(server: TritonProcess) -> None:
    caught: list[BaseException] = []

    def ask() -> None:
        try:
            client.predict([jpeg()])
        except ServingError as error:
            caught.append(error)

    with Client(server.endpoints.http) as client:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert "only in the thread that made it" in str(caught[0])


def test_a_grpc_client_serves_many_threads(server: TritonProcess) -> None:
    answers: list[str] = []
    with Client(server.endpoints.grpc) as client:
        threads = [
            threading.Thread(target=lambda: answers.append(client.predict([jpeg()])[0].label))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 4
    assert len(set(answers)) == 1


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1:1", True),
        ("127.1.2.3:1", True),
        ("localhost:1", True),
        ("0.0.0.0:1", True),
        ("[::1]:1", True),
        (f"{socket.gethostname()}:1", True),
        ("192.0.2.1:1", False),
        ("nowhere.invalid:1", False),
    ],
)
def test_addresses_of_this_machine_are_known(address: str, own: bool) -> None:
    """Requests to them never go through a proxy of the environment."""
    assert is_on_this_machine(address) is own


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    server: TritonProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    monkeypatch.delenv("no_proxy", raising=False)
    with Client(server.endpoints.grpc) as client:
        assert client.predict([jpeg()])[0].label
