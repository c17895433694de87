"""Temporary folders of programs: removed at the end, and after a kill by the next start."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lnlattennet._program_folder import locked, temporary_program_folder

PREFIX = "lnlattennet-tried-"


def aged(folder: Path) -> Path:
    folder.mkdir()
    (folder / "model.plan").write_bytes(b"engine")
    os.utime(folder, (time.time() - 3600,) * 2)
    return folder


def test_only_what_nobody_holds_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    abandoned, held, other = (aged(tmp_path / name) for name in (f"{PREFIX}a", f"{PREFIX}b", "lnlattennet-c"))
    fresh = tmp_path / f"{PREFIX}d"
    fresh.mkdir()
    with locked(held) as free, temporary_program_folder(PREFIX) as folder:
        assert free
        assert folder.is_dir()
        with locked(folder) as again:
            assert not again
        assert not abandoned.exists()
    assert not folder.exists()
    assert held.exists()
    assert other.exists()
    assert fresh.exists()
