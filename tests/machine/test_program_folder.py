"""Folders for programs: with a plain name, writable, and not mounted noexec."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lnlattennet import _program_folder
from lnlattennet._program_folder import forbids_programs, program_folder, temporary_files_in
from lnlattennet.errors import LnlAttenNetError, UnavailableError
from lnlattennet.kernels._build import build_library
from lnlattennet.serving.triton import _discovery
from lnlattennet.serving.triton._discovery import find_server


@pytest.fixture
def noexec(tmp_path: Path) -> Iterator[Path]:
    """A file system from which no program runs."""
    command = ["mount", "-t", "tmpfs", "-o", "noexec,size=100k", "tmpfs", str(tmp_path)]
    if os.geteuid() or subprocess.run(command, check=False).returncode:
        pytest.skip("this machine does not allow mounts")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)  # noqa: S607


@pytest.mark.parametrize("name", ["a b", "a\nb", "a'b", "a$b", "ä", "missing/folder"])
def test_another_folder_is_taken_where_the_temporary_one_will_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))
    if "/" not in name:
        (tmp_path / name).mkdir()
    assert program_folder() in ("/tmp", "/var/tmp")  # noqa: S108


def test_a_folder_where_programs_run_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert program_folder() == str(tmp_path)


def test_noexec_is_seen(noexec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert forbids_programs(noexec)
    monkeypatch.setattr(tempfile, "tempdir", str(noexec))
    assert program_folder() != str(noexec)


def test_without_any_folder_the_error_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_program_folder, "forbids_programs", lambda folder: True)
    with pytest.raises(UnavailableError, match=r"noexec.*set TMPDIR"):
        program_folder()


@pytest.mark.parametrize("before", [None, "/before"])
def test_the_variable_is_restored(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    if before:
        monkeypatch.setenv("TMPDIR", before)
    with temporary_files_in("/other"):
        assert os.environ["TMPDIR"] == "/other"
    assert os.environ.get("TMPDIR") == before


def test_kernels_are_not_built_where_they_could_not_be_loaded(
    noexec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LNLATTENNET_CACHE", str(noexec))
    with pytest.raises(LnlAttenNetError, match=r"mounted noexec.*set LNLATTENNET_CACHE"):
        build_library("cpu", ("test",))


def test_a_server_needs_what_its_python_backend_writes_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_discovery._WRITTEN_TO, "/no/such/folder", "mount it")
    with pytest.raises(UnavailableError, match=r"writes to /no/such/folder.*: mount it"), find_server():
        pass
