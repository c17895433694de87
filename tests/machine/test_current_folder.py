"""The current folder is data: no command, server or worker imports or runs a file of it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lnlattennet.data.synthetic._splits import render_split
from lnlattennet.errors import LnlAttenNetError
from lnlattennet.kernels import _build

ROOT = Path(__file__).parents[2]


def test_rendered_faces(ran: Path) -> None:
    faces, _ = render_split("val", 70, 16, workers=2)
    assert faces[64:].any()
    assert not ran.exists(), ran.read_text()


def test_the_compile_worker(ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker gets as far as its compiler, which fails at once."""
    monkeypatch.setenv("LNLATTENNET_CACHE", str(tmp_path / "cache"))
    job = {
        "name": "it",
        "commands": [["false"]],
        "objects": [],
        "binding": "it.cpp",
        "flags": [],
        "libraries": [],
        "workers": 1,
    }
    monkeypatch.setattr(_build, "_job", lambda device, architectures: job)
    with pytest.raises(LnlAttenNetError, match="could not be built"):
        _build.build_library("cpu", ("test",))
    assert "returned non-zero exit status 1" in next((tmp_path / "cache").rglob("*.log")).read_text()
    assert not ran.exists(), ran.read_text()


@pytest.mark.parametrize("start", ["program", "module"])
def test_commands(bundle_path: Path, ran: Path, start: str) -> None:
    program = [str(Path(sys.executable).with_name("lnlattennet"))]
    if start == "module":
        program = [sys.executable, "-m", "lnlattennet"]
        # Python itself imports these of the current folder before any of our code: `python -P -m` does not.
        for name in sys.stdlib_module_names - {"random"}:
            Path(f"{name}.py").unlink()
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [*program, "doctor", str(bundle_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not ran.exists(), ran.read_text()


def test_every_python_that_is_started_leaves_the_current_folder_out() -> None:
    """-P or -I stands right after the interpreter, in every command line of the package."""
    found = []
    packages = [path for path in (ROOT / "src" / "lnlattennet").iterdir() if path.is_dir()]
    for path in [file for package in packages for file in package.resolve().rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.List) and node.elts and ast.unparse(node.elts[0]) == "sys.executable":
                found.append((path.relative_to(ROOT), ast.unparse(node.elts[1])))
    assert len(found) >= 5
    # The suite runs the tests of the current folder: it is a tool for the repository itself.
    allowed = {"'-P'", "'-I'", "*_PYTEST"}
    assert [(str(path), option) for path, option in found if option not in allowed] == []
