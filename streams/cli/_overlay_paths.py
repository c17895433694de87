"""Paths of the overlay files; none replaces an input file."""

from __future__ import annotations

import itertools
import logging
import os
from pathlib import Path

from lnlattennet._atomic import require_outside_bundles
from lnlattennet._command import counted, on_one_line
from lnlattennet.errors import UsageError
from lnlattennet.streams.sources._files import FOLDER_SUFFIXES, Files
from lnlattennet.streams.sources._frames import moves

_log = logging.getLogger(__name__)


class OverlayPaths:
    """Gives each image its overlay file, if overlays are wanted; ask for every file, in order.

    With one image, an ``overlay`` that ends in .png is that file. Otherwise it is a folder, made if needed,
    for files called STEM-overlay.png, or STEM-2-overlay.png where that is taken. Videos get none.

    Args:
        overlay: file or folder; None gives no image an overlay.
        files: all images, and videos.

    Raises:
        UsageError: several images and a file, a file of another format, or a file would replace an image or
            lie in a bundle.
    """

    def __init__(self, overlay: Path | None, files: Files) -> None:
        self._overlay = overlay
        self._taken: set[str] = set()
        self._is_file = overlay is not None and overlay.suffix.lower() == ".png" and not overlay.is_dir()
        if overlay is not None:
            self._check(overlay, files)

    def __call__(self, image: str) -> Path | None:
        """Return the file for the next image's overlay, or None if none is wanted or it is a video."""
        if moves(image):
            return None
        if self._overlay is None or self._is_file:
            return self._overlay
        stem = Path(image).stem
        numbered = (f"{stem}-{number}-overlay.png" for number in itertools.count(2))
        names = itertools.chain([f"{stem}-overlay.png"], numbered)
        name = next(name for name in names if name not in self._taken)
        self._taken.add(name)
        return self._overlay / name

    def log(self, written: int) -> None:
        """Tell how many overlays were written, and where, if any were wanted."""
        if self._overlay is not None:
            _log.info("wrote %s to %s", counted(written, "overlay"), on_one_line(self._overlay))

    def _check(self, overlay: Path, files: Files) -> None:
        _require_names(files)
        count = sum(not moves(name) for name in files)
        if self._is_file and count > 1:
            raise UsageError(f"--overlay must be a folder for {count} images, got the file {overlay}")
        if not self._is_file and overlay.exists() and not overlay.is_dir():
            raise UsageError(f"--overlay must be a .png file or a folder, got the file {overlay}")
        if not self._is_file and not overlay.exists() and overlay.suffix.lower() in FOLDER_SUFFIXES:
            raise UsageError(f"--overlay must be a .png file or a folder, got {overlay}")
        if not self._is_file:
            _require_outside(overlay, files)
        replaced = self._existing(files)
        for image in files if replaced else ():
            if _identity(image) in replaced:
                path = replaced[_identity(image)]
                raise UsageError(f"--overlay would replace the image {path}; choose another name or folder")
        self._taken.clear()

    def _existing(self, files: Files) -> dict[tuple[int, int] | None, Path]:
        """Return the overlay files that are there already."""
        existing: dict[tuple[int, int] | None, Path] = {}
        for image in files:
            path = self(image)
            if path is not None:
                require_outside_bundles(path)
                if identity := _identity(path):
                    existing[identity] = path
        return existing


def check_overlay_video(overlay: Path, files: Files) -> None:
    """Raise UsageError if the ending is wrong, there is not one video, or a file that is read is replaced."""
    if overlay.suffix.lower() != ".mp4":
        raise UsageError(f"--overlay of a video must end in .mp4, got {overlay}")
    _require_names(files)
    count = sum(map(moves, files))
    if count != 1:
        raise UsageError(f"--overlay draws one video, got {count} videos; name one, or leave it out")
    require_outside_bundles(overlay)
    _require_outside(overlay, files)
    replaced = _identity(overlay)
    if replaced and any(_identity(name) == replaced for name in files):
        raise UsageError(f"--overlay would replace the file {overlay}, which is read; choose another name")


def _require_names(files: Files) -> None:
    if not files.repeatable:
        raise UsageError("--overlay needs all names before the first image: give @FILE in place of @-")


def _require_outside(overlay: Path, files: Files) -> None:
    """Refuse what is read as a folder, or lies in one: the next run would take the overlays for images."""
    target = overlay.resolve()
    for argument in files.arguments:
        # Path.is_dir raises of a name that is too long.
        if os.path.isdir(argument) and target.is_relative_to(Path(argument).resolve()):  # noqa: PTH112
            raise UsageError(f"--overlay {overlay} lies in {argument}, which is read; choose a place outside")


def _identity(path: str | Path) -> tuple[int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
