"""Files and folders appear whole or not at all, whenever they are interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from lnlattennet.atomic import replace_file, replace_folder


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
