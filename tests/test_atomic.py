"""Files and folders appear whole or not at all, whenever they are interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from lnlattennet._atomic import output_errors, replace_file, replace_folder, sole_writer, try_folder
from lnlattennet.errors import BundleError, UsageError
from lnlattennet.streams.cli._overlay_paths import OverlayPaths
from lnlattennet.streams.sources._files import Files


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "content").write_text("old")
    return folder


def replace(folder: Path) -> None:
    with replace_folder(folder) as draft:
        (draft / "content").write_text("new")


def test_a_folder_is_replaced_whole(old: Path) -> None:
    replace(old)
    assert (old / "content").read_text() == "new"
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("which", [0, 1])
def test_an_interrupt_at_any_step_of_the_swap_leaves_one_whole_folder(
    old: Path, monkeypatch: pytest.MonkeyPatch, which: int, after: bool
) -> None:
    """Ctrl-C right before or right after the rename number ``which``."""
    rename, calls = Path.rename, []

    def interrupted(source: Path, target: Path) -> Path:
        calls.append(source)
        hit = len(calls) == which + 1
        if hit and not after:
            raise KeyboardInterrupt
        result = rename(source, target)
        if hit:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace(old)
    assert (old / "content").read_text() == ("new" if which == 1 and after else "old")
    assert list(old.parent.iterdir()) == [old]


def test_a_failure_inside_leaves_the_old_folder_and_file(old: Path) -> None:
    with pytest.raises(ZeroDivisionError), replace_folder(old) as draft:
        (draft / "content").write_text(str(1 / 0))
    with pytest.raises(ZeroDivisionError), replace_file(old / "content") as draft:
        draft.write_text(str(1 / 0))
    assert (old / "content").read_text() == "old"
    assert list(old.iterdir()) == [old / "content"]


WRITER = """
import sys, time
from pathlib import Path
from lnlattennet._atomic import replace_folder, sole_writer
from lnlattennet.errors import BundleError
path = Path(sys.argv[1])
with sole_writer(path, BundleError), replace_folder(path) as draft:
    (draft / "content").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def start_writer(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def test_of_two_writers_the_second_is_refused_and_the_first_finishes(old: Path) -> None:
    with start_writer(old) as process:
        drafts = set(old.parent.iterdir())
        with pytest.raises(BundleError, match="another process is writing"), sole_writer(old, BundleError):
            pass
        assert set(old.parent.iterdir()) == drafts
        process.send_signal(signal.SIGKILL)


def test_the_drafts_of_a_killed_writer_are_removed_and_nothing_else(old: Path) -> None:
    with start_writer(old) as process:
        os.kill(process.pid, signal.SIGKILL)
    (old.parent / ".bundle.notes").mkdir()
    assert len(list(old.parent.iterdir())) == 4
    with sole_writer(old, BundleError):
        replace(old)
    assert (old / "content").read_text() == "new"
    assert set(old.parent.iterdir()) == {old, old.parent / ".bundle.notes"}


def test_the_draft_of_a_file_is_removed_too(tmp_path: Path) -> None:
    table, others = tmp_path / "rows.csv", {tmp_path / ".rows.csv.settings", tmp_path / ".rows.csv.0123"}
    for path in (table, tmp_path / ".rows.csv.0123abcd", *others):
        path.touch()
    with sole_writer(table, UsageError):
        pass
    assert set(tmp_path.iterdir()) == {table, *others}


def test_a_writer_killed_in_the_middle_of_the_swap_loses_nothing(old: Path) -> None:
    """The older folder was moved aside, the new one was not yet moved in."""
    aside = old.parent / ".bundle.old.abcd1234"
    aside.mkdir()
    old.rename(aside / "bundle")
    with sole_writer(old, BundleError):
        assert (old / "content").read_text() == "old"
    assert list(old.parent.iterdir()) == [old]


def test_an_output_that_cannot_be_written_is_the_users_to_change(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UsageError, match=r"out cannot be written \(File exists\): choose another$"),
        output_errors(tmp_path / "file" / "out"),
    ):
        try_folder(tmp_path / "file")


@contextmanager
def as_context(function: Callable[..., object], *arguments: object) -> Iterator[None]:
    function(*arguments)
    yield


@pytest.mark.parametrize(
    "write",
    [
        replace_file,
        replace_folder,
        lambda path: sole_writer(path, BundleError),
        lambda path: as_context(try_folder, path),
        lambda path: as_context(OverlayPaths, path, Files(["face.jpg"])),
    ],
)
@pytest.mark.parametrize("link", [False, True])
def test_nothing_is_written_into_a_bundle(
    write: Callable[[Path], AbstractContextManager[object]], link: bool, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    (bundle / "engines").mkdir(parents=True)
    (bundle / "manifest.json").touch()
    if link:
        bundle = tmp_path / "link"
        bundle.symlink_to("bundle")
    with (
        pytest.raises(UsageError, match=r"nothing may be written into the bundle .*: choose a place outside"),
        write(bundle / "a/b"),
    ):
        pass
    assert {path.name for path in bundle.iterdir()} == {"engines", "manifest.json"}
