"""The fonts that a test sees, whatever this machine has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lnlattennet.images import _fonts


@contextmanager
def only_fonts_in(*folders: Path) -> Iterator[None]:
    """Search only these folders for fonts, and those of matplotlib and Pillow as ever."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_fonts, "font_folders", lambda: [*folders])
        forget_fonts()
        yield
    forget_fonts()


def forget_fonts() -> None:
    """Let the next text look for its font anew."""
    for cached in (_fonts._file_with, _fonts._system_fonts, _fonts._opened):
        cached.cache_clear()
