"""Paths of the overlay files, chosen before the first prediction; none replaces an input image."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from lnlattennet._atomic import require_outside_bundles
from lnlattennet.errors import UsageError


def overlay_paths(overlay: Path | None, images: Sequence[Path]) -> list[Path | None]:
    """Return the file for each image's overlay, or None for each if none is wanted.

    With one image, an ``overlay`` that ends in .png is that file. Otherwise it is a folder, made if needed,
    for files called STEM-overlay.png, or STEM-2-overlay.png where that is taken.

    Raises:
        UsageError: several images and a file, or a file would replace an image or lie in a bundle.
    """
    if overlay is None:
        return [None] * len(images)
    is_file = overlay.suffix.lower() == ".png" and not overlay.is_dir()
    if is_file and len(images) > 1:
        raise UsageError(f"--overlay must be a folder for {len(images)} images, got the file {overlay}")
    if not is_file and overlay.exists() and not overlay.is_dir():
        raise UsageError(f"--overlay must be a .png file or a folder, got the file {overlay}")
    paths = [overlay] if is_file else _distinct_paths(overlay, images)
    for path in paths:
        require_outside_bundles(path)
        if path.exists() and any(image.exists() and path.samefile(image) for image in images):
            raise UsageError(f"--overlay would replace the image {path}; choose another name or folder")
    return list(paths)


def _distinct_paths(folder: Path, images: Sequence[Path]) -> list[Path]:
    taken: list[str] = []
    for image in images:
        numbered = (f"{image.stem}-{number}-overlay.png" for number in itertools.count(2))
        names = itertools.chain([f"{image.stem}-overlay.png"], numbered)
        taken.append(next(name for name in names if name not in taken))
    return [folder / name for name in taken]
