"""Exports that a signal or a full disk ends: the old bundle stays, and nothing else."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from lnlattennet.bundle._bundle import hash_file
from tests.export.exports import EXPORT, FAST, call_export

pytestmark = pytest.mark.slow


def wait_for(condition: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 200
    while not condition():
        assert process.poll() is None, "the export ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("moment", "number"),
    # Both signals have one handler, so each moment needs one of them.
    [("start", signal.SIGINT), ("onnx", signal.SIGTERM), ("engines", signal.SIGINT)],
)
def test_an_interrupted_export_leaves_the_old_bundle_and_nothing_else(
    bundle_copy: Path, checkpoint_path: Path, moment: str, number: signal.Signals
) -> None:
    before = {path: hash_file(path) for path in bundle_copy.rglob("*") if path.is_file()}
    command = [*EXPORT, *FAST, "-c", str(checkpoint_path), "-o", str(bundle_copy), "--force"]
    # Not the lock: a signal just before it is held leaves that empty file, which the next export takes over.
    patterns = {"start": ".copy.????????", "onnx": ".copy.*/model.onnx", "engines": ".copy.*/engines/*/*.xml"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: any(bundle_copy.parent.glob(patterns[moment])), process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert errors.endswith("interrupted\n")
    assert {path: hash_file(path) for path in bundle_copy.rglob("*") if path.is_file()} == before
    assert list(bundle_copy.parent.iterdir()) == [bundle_copy]


def test_a_full_disk_is_reported_and_leaves_nothing(checkpoint_path: Path, tmp_path: Path) -> None:
    """A limit on file sizes fails the same write calls that a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        done = call_export("-c", checkpoint_path, "-o", tmp_path / "out", "--backend", "onnxruntime")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tiny file system needs root")
def test_a_really_full_disk_is_reported_and_leaves_nothing(checkpoint_path: Path, tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", tmp_path], check=False)  # noqa: S607
    if mounted.returncode:
        pytest.skip("this machine does not allow mounts")
    try:
        done = call_export("-c", checkpoint_path, "-o", tmp_path / "out", *FAST)
        assert done.returncode == 1, done.stderr
        assert "the disk is full" in done.stderr
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)  # noqa: S607
