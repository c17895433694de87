"""Reading one kernel takes few files, and every header can be read on its own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.kernels.support.cpu_targets import SOURCES

MOST_HEADERS = 8
UNITS = sorted(path for path in SOURCES.rglob("*") if path.suffix in (".cu", ".cpp"))


def project_headers(file: Path, seen: frozenset[Path] = frozenset()) -> frozenset[Path]:
    """``seen`` and the project's headers that a file includes, directly or through others."""
    for name in re.findall(r'^#include "(.+)"$', file.read_text(), re.MULTILINE):
        header = (file.parent / name).resolve()
        if header not in seen:
            seen = project_headers(header, seen | {header})
    return seen


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: str(path.relative_to(SOURCES)))
def test_a_translation_unit_needs_few_project_headers(unit: Path) -> None:
    headers = sorted(str(path.relative_to(SOURCES.resolve())) for path in project_headers(unit.resolve()))
    assert len(headers) <= MOST_HEADERS, headers


@pytest.mark.parametrize("header", sorted((SOURCES / "cpu").glob("*.h")), ids=lambda path: path.name)
def test_a_cpu_header_compiles_on_its_own(header: Path, tmp_path: Path) -> None:
    source = tmp_path / "alone.cpp"
    source.write_text(f'#include "{header}"\n')
    command = ["c++", "-std=c++17", "-Wno-psabi", "-fsyntax-only", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
