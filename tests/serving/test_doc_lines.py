"""The lines of docs/howto/ask-a-server.md, run against a real server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lnlattennet.serving import Client
from lnlattennet.serving.triton._process import TritonProcess
from tests.serving.client.test_client import jpeg

pytest.importorskip("tritonclient")

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "ask-a-server.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the images that the page names."""
    (tmp_path / "faces").mkdir()
    for name in ("face.jpg", "group.jpg", "other.png", "faces/one.jpg", "faces/two.jpg"):
        (tmp_path / name).write_bytes(jpeg())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pointing_to(server: TritonProcess, code: str) -> str:
    grpc, http = (url.partition("://")[2] for url in (server.endpoints.grpc, server.endpoints.http))
    return code.replace("127.0.0.1:8001", grpc).replace("127.0.0.1:8000", http)


@pytest.mark.usefixtures("folder")
def test_the_python_lines_run(server: TritonProcess, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"frames": [jpeg(), jpeg(20)]}
    python = blocks("python")
    for code in python:
        exec(compile(pointing_to(server, code), PAGE.name, "exec"), names)  # noqa: S102
    assert len(python) >= 4
    assert "ok" in capsys.readouterr().out


NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="Node.js is not installed, which runs the page's JavaScript")
def test_the_lines_of_javascript_run(server: TritonProcess, folder: Path) -> None:
    (code,) = blocks("js")
    script = folder / "ask.mjs"
    script.write_text(pointing_to(server, code))
    with Client(server.endpoints.http) as client:
        expected = client.predict((folder / "face.jpg").read_bytes())
    ran = subprocess.run([str(NODE), str(script)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split()[0] == expected.label
    (folder / "face.jpg").write_bytes(b"no image")
    refused = subprocess.run([str(NODE), str(script)], capture_output=True, text=True)
    assert refused.returncode == 1
    assert re.search("400: .*image 0 of the batch", refused.stderr), refused.stderr


def test_the_lines_of_a_shell_run(server: TritonProcess, folder: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    outputs = []
    for code in blocks("sh"):
        ran = subprocess.run(
            ["/bin/bash", "-e", "-o", "pipefail", "-c", pointing_to(server, code)],
            capture_output=True,
            env=os.environ | {"PATH": path, "no_proxy": "*"},
        )
        assert ran.returncode == 0, ran.stderr.decode()
        outputs.append(ran.stdout)
    assert (folder / "overlay.png").read_bytes()[:4] == b"\x89PNG"
    assert b"probabilities" in (folder / "answer.bin").read_bytes()
    # Binary outputs would follow a description; these come in it.
    names = {output["name"] for output in json.loads(outputs[-1])["outputs"]}
    assert names == {"label", "probabilities", "region_weights"}
