"""Network mounts and object stores: what is optional is done without, what loses data is an error."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lnlattennet._atomic import _warn_once, replace_file, replace_folder, sole_writer, try_folder
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import BundleError
from lnlattennet.serving.triton._repository import deploy
from tests.export.exports import run_export
from tests.machine.interposer import interpose

MISSING = [errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL]
Refuse = Callable[[str, int], None]

REFUSE = """
#include <sys/stat.h>
int chmod(const char *path, mode_t mode) { errno = EPERM; return -1; }
int fchmod(int file, mode_t mode) { errno = EPERM; return -1; }
int fchmodat(int folder, const char *path, mode_t mode, int flags) { errno = EPERM; return -1; }
int flock(int file, int operation) { errno = ENOLCK; return -1; }
int fsync(int file) { errno = EINVAL; return -1; }
"""


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Iterator[Refuse]:
    """Let a call of the file system fail with an error number."""

    def refuse(name: str, number: int) -> None:
        def fail(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        if name == "chmod":
            monkeypatch.setattr(Path, "chmod", fail)
        else:
            monkeypatch.setattr(fcntl if name == "flock" else os, name, fail)

    _warn_once.cache_clear()
    yield refuse
    _warn_once.cache_clear()


def write(folder: Path) -> None:
    with sole_writer(folder, BundleError), replace_folder(folder) as draft:
        (draft / "file").write_text("new")


@pytest.mark.parametrize(
    ("name", "number"),
    [
        *[("chmod", number) for number in MISSING],
        *[("flock", number) for number in [*MISSING, errno.ENOLCK]],
        *[("fsync", number) for number in MISSING[2:]],
    ],
)
def test_what_is_optional_warns_once_and_goes_on(
    tmp_path: Path, refuse: Refuse, caplog: pytest.LogCaptureFixture, name: str, number: int
) -> None:
    refuse(name, number)
    with caplog.at_level(logging.WARNING, "lnlattennet"):
        for _ in range(2):
            write(tmp_path / "out")
    assert (tmp_path / "out" / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    messages = [record.getMessage() for record in caplog.records]
    assert sum(str(tmp_path) in message for message in messages) >= 1
    assert len(messages) == len(set(messages))
    assert os.strerror(number) in messages[-1]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_what_loses_data_is_an_error(tmp_path: Path, refuse: Refuse, number: int) -> None:
    refuse("fsync", number)
    with pytest.raises(OSError, match=os.strerror(number)), replace_file(tmp_path / "file") as draft:
        draft.write_text("new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EXDEV, errno.ENOSYS, errno.EPERM])
@pytest.mark.parametrize("begin", [replace_folder, lambda path: try_folder(path)])
def test_folders_that_cannot_be_moved_are_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, begin: Callable[[Path], object]
) -> None:
    """As object stores do, and overlayfs for folders of a container's image."""
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if path.is_dir():
            raise OSError(number, os.strerror(number))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match=os.strerror(number)):  # noqa: PT012
        context = begin(tmp_path)
        with context:  # type: ignore[attr-defined]
            pytest.fail("the work was begun")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_folder_of_a_lower_layer_is_refused_at_once_and_stays(tmp_path: Path) -> None:
    names = ("lower", "upper", "work", "merged")
    lower, upper, work, merged = (tmp_path / name for name in names)
    for folder in (lower / "out", upper, work, merged):
        folder.mkdir(parents=True)
    (lower / "out" / "file").write_text("old")
    layers = f"lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=off"
    command = ["mount", "-t", "overlay", "-o", layers, "overlay", str(merged)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow overlay mounts")
    try:
        with pytest.raises(OSError, match="cross-device"):
            write(merged / "out")
        assert (merged / "out" / "file").read_text() == "old"
        assert [path.name for path in merged.iterdir()] == ["out"]
    finally:
        subprocess.run(["umount", merged], check=True)  # noqa: S607


@pytest.mark.slow
def test_a_whole_export_without_permissions_locks_and_fsync(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpose(monkeypatch, tmp_path, REFUSE)
    done = run_export(
        "-c", checkpoint_path, "-o", tmp_path / "out", "--backend", "onnxruntime", "--batch", "1:2:3"
    )
    assert done.returncode == 0, done.stderr
    for without in ("no permissions to set", "has no locks", "does not say when a file is on the disk"):
        assert without in done.stderr
    monkeypatch.delenv("LD_PRELOAD")
    assert Bundle.load(tmp_path / "out").manifest.selected


def test_a_deployment_without_permissions(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    deployment = deploy(Bundle.load(bundle_path), tmp_path / "deployment")
    assert Bundle.load(deployment.bundle).manifest.selected
    assert len(list(deployment.models.glob("*/config.pbtxt"))) == 8
