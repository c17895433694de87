"""One real server for the whole session, and what tests use to look for leftovers."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lnlattennet.errors import UnavailableError
from lnlattennet.export.bundle import Bundle
from lnlattennet.serving.endpoints import choose_endpoints
from lnlattennet.serving.process import TritonProcess
from lnlattennet.serving.repository import deploy
from lnlattennet.serving.tritonserver import TritonServer, find_server


@pytest.fixture(scope="session")
def triton_server() -> Iterator[TritonServer]:
    """The tritonserver of this machine; tests that need one are skipped where there is none."""
    try:
        with find_server() as server:
            yield server
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def server(
    bundle_path: Path, triton_server: TritonServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TritonProcess]:
    """A running server with the session's bundle."""
    folder = tmp_path_factory.mktemp("served") / "deployment"
    deployment = deploy(Bundle.load(bundle_path), folder, triton_server.backends)
    with TritonProcess(triton_server, deployment, choose_endpoints("127.0.0.1", 0, 0, 0)) as process:
        yield process


@pytest.fixture(scope="session")
def processes_of() -> Callable[[Path], list[int]]:
    """Find living processes whose command line names a folder: a server and its python models."""

    def find(folder: Path) -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if f"{folder}/".encode() in path.read_bytes():
                    found.append(int(path.parent.name))
        return found

    return find


@pytest.fixture(scope="session")
def pictures() -> list[bytes]:
    """Encoded pictures that differ in content, size, shape and format."""
    generator = np.random.default_rng(3)
    sizes = [(112, 112), (90, 160), (200, 120), (64, 64)]
    return [
        _encode(_waves(generator, *size), kind)
        for size, kind in zip(sizes, ["PNG", "JPEG", "PNG", "JPEG"], strict=True)
    ]


def _waves(generator: np.random.Generator, height: int, width: int) -> Image.Image:
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    channels = [
        np.sin(2 * np.pi * (a * rows + b * columns + c)) for a, b, c in generator.uniform(0.2, 3, size=(3, 3))
    ]
    return Image.fromarray((127.5 + 127.5 * np.stack(channels, axis=-1)).astype(np.uint8))


def _encode(picture: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind)
    return stream.getvalue()
