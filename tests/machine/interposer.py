"""Small libraries that stand between a program and the system's, for the programs that a test starts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_HEADER = "#define _GNU_SOURCE\n" + "".join(
    f"#include <{name}.h>\n" for name in ("dlfcn", "errno", "stdio", "string")
)


def interpose(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Compile C code, and preload it in every program that this test starts."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    source, library = folder / "interposer.c", folder / "interposer.so"
    source.write_text(_HEADER + code)
    subprocess.run([compiler, "-shared", "-fPIC", "-w", "-o", library, source, "-ldl"], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
