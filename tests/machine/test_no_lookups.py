"""Commands and servers look up no name, connect to nobody, and run no file of the current folder."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.triton._process import TritonProcess
from tests.export.exports import FAST, run_export
from tests.machine.programs import run


def test_the_watch_sees_look_ups(lookups: Path) -> None:
    run(sys.executable, "-c", "import socket; socket.getaddrinfo('nowhere.invalid', 80)")
    assert lookups.read_text() == "nowhere.invalid\n"


@pytest.mark.parametrize("engine", ["onnxruntime-fp32", "openvino-fp32"])
def test_predict(bundle_path: Path, lookups: Path, tmp_path: Path, engine: str) -> None:
    Image.fromarray(np.full((64, 64, 3), 99, np.uint8)).save(tmp_path / "face.png")
    done = run("lnlattennet", "predict", tmp_path / "face.png", "--bundle", bundle_path, "--engine", engine)
    assert done.returncode == 0, done.stderr
    assert not lookups.exists(), lookups.read_text()
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.slow
def test_export(checkpoint_path: Path, lookups: Path, ran: Path, tmp_path: Path) -> None:
    done = run_export("-c", checkpoint_path, "-o", tmp_path / "out", *FAST)
    assert done.returncode == 0, done.stderr
    assert not lookups.exists(), lookups.read_text()
    assert not ran.exists(), ran.read_text()


@pytest.mark.slow
def test_a_server(
    bundle_path: Path,
    serve: Callable[[Path], AbstractContextManager[TritonProcess]],
    lookups: Path,
    ran: Path,
) -> None:
    """Its selected engine is of a runtime that would report its use."""
    assert Bundle.load(bundle_path).manifest.selected.startswith(("onnxruntime", "openvino"))
    stream = io.BytesIO()
    Image.new("RGB", (48, 48), "gray").save(stream, "PNG")
    with serve(bundle_path) as process, Client(process.endpoints.grpc) as client:
        assert client.predict([stream.getvalue()])[0].label
    assert not lookups.exists(), lookups.read_text()
    assert not ran.exists(), ran.read_text()
