"""Choice of the tritonserver, and the errors if there is none."""

from __future__ import annotations

import os
import sys
from importlib import metadata, util
from pathlib import Path

import pytest

from lnlattennet.errors import UnavailableError
from lnlattennet.serving.triton._discovery import find_server


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tritonserver on PATH, and its folder of backends."""
    program = tmp_path / "bin" / "tritonserver"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    for backend in ("python", "onnxruntime"):
        (tmp_path / "backends" / backend).mkdir(parents=True)
    return tmp_path / "backends"


def test_the_server_on_path_comes_first(installed: Path) -> None:
    with find_server(installed) as server:
        assert server.executable == installed.parent / "bin" / "tritonserver"
        assert server.backends == {"python", "onnxruntime"}
        assert not server.embedded
        # Its stubs have to take this Python, which has this package.
        assert server.environment["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


def test_a_server_without_the_python_backend_is_refused(installed: Path) -> None:
    (installed / "python").rmdir()
    with (
        pytest.raises(UnavailableError, match=r"no python backend .*--backend-directory"),
        find_server(installed),
    ):
        pass


@pytest.fixture
def nothing_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("nothing_on_path")
def test_no_server_at_all_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with (
        pytest.raises(UnavailableError, match=r"pip install 'lnlattennet\[server\]'") as caught,
        find_server(),
    ):
        pass
    assert caught.value.exit_code == 4


@pytest.mark.usefixtures("nothing_on_path")
def test_backends_without_a_server_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="needs a tritonserver on PATH"), find_server(tmp_path):
        pass


@pytest.mark.usefixtures("nothing_on_path")
def test_numpy_2_is_refused_for_the_embedded_server(monkeypatch: pytest.MonkeyPatch) -> None:
    if util.find_spec("pytriton") is None:
        pytest.skip("the extra 'server' is not installed")
    monkeypatch.setattr(metadata, "version", lambda name: "2.1.0")
    with pytest.raises(UnavailableError, match=r"needs numpy < 2 \(with 2\.1\.0"), find_server():
        pass


@pytest.mark.usefixtures("nothing_on_path")
def test_the_embedded_server_is_assembled_and_removed() -> None:
    if util.find_spec("pytriton") is None:
        pytest.skip("the extra 'server' is not installed")
    with find_server() as server:
        assert server.embedded
        assert os.access(server.executable, os.X_OK)
        assert server.backends == {"python"}
        parts = {path.name for path in (server.backend_directory / "python").iterdir()}
        assert parts >= {
            "libtriton_python.so",
            "triton_python_backend_utils.py",
            "triton_python_backend_stub",
        }
    assert not server.backend_directory.exists()
    assert "pytriton" not in sys.modules
