"""Objects of the test builds are reused while nothing that goes into them changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.kernels.support.cached_compiler import write_caching_compiler

COMPILER = '#!/bin/sh\ncase "$*" in *" -o "*) echo "$*" >> "{calls}";; esac\nexec c++ "$@"\n'


def test_an_object_is_compiled_again_only_if_something_changed(tmp_path: Path) -> None:
    calls, real = tmp_path / "calls", tmp_path / "counting-c++"
    real.write_text(COMPILER.format(calls=calls))
    real.chmod(0o755)
    compiler = write_caching_compiler(tmp_path / "caching-c++", str(real))
    header, source, target = tmp_path / "value.h", tmp_path / "answer.cpp", tmp_path / "answer.o"
    source.write_text(f'#include "{header}"\nint answer() {{ return VALUE; }}\n')

    def compile_(value: int, *flags: str) -> bytes:
        header.write_text(f"#define VALUE {value}\n")
        subprocess.run([compiler, *flags, "-c", source, "-o", target], check=True)
        return target.read_bytes()

    first = compile_(1)
    assert compile_(1) == first
    assert len(calls.read_text().splitlines()) == 1
    assert compile_(2) != first
    compile_(2, "-O2")
    assert len(calls.read_text().splitlines()) == 3

    source.write_text("no such type;")
    failed = subprocess.run(
        [compiler, "-c", source, "-o", target], capture_output=True, text=True, check=False
    )
    assert failed.returncode != 0
    assert "no such type" in failed.stderr
