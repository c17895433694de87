"""Files of a bundle on disk, compared with the hashes that its manifest lists."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from lnlattennet.errors import BundleError

MANIFEST_NAME = "manifest.json"

_SYSTEM_ENTRIES = {".DS_Store", ".directory", "@eaDir", "Thumbs.db", "desktop.ini"}
"""Of macOS (and its ``._`` files), KDE, Synology and Windows."""


def digest(path: Path) -> tuple[str, int]:
    """Return the SHA-256 and the size of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest(), path.stat().st_size


def verify_files(folder: Path, files: Mapping[str, tuple[str, int]]) -> None:
    """Compare every file below a bundle's folder with what its manifest lists.

    Args:
        folder: the bundle.
        files: path inside the bundle -> SHA-256 and size, for every file except the manifest itself.

    Raises:
        BundleError: a file is missing, changed, a link or not listed.
    """
    _refuse_unlisted(folder, {*files, MANIFEST_NAME})
    for name, listed in files.items():
        _verify(folder, name, listed)


def _refuse_unlisted(folder: Path, listed: set[str]) -> None:
    """Refuse links and files without a hash: a runtime may read what lies beside its engine file.

    What file browsers and NAS boxes leave in every folder that they see is passed over: no runtime reads it.
    """
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if not path.is_symlink() and any(map(_is_system_entry, PurePosixPath(name).parts)):
            continue
        if path.is_symlink() or (not path.is_dir() and name not in listed):
            raise BundleError(
                f"{folder}: {name} is a link or is not listed in the manifest (unverified file); "
                "remove it, or export the bundle again"
            )


def _is_system_entry(name: str) -> bool:
    return name in _SYSTEM_ENTRIES or name.startswith("._")


def _verify(folder: Path, name: str, listed: tuple[str, int]) -> None:
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or name == MANIFEST_NAME:
        raise BundleError(f"{folder}: the manifest lists {name!r}, which must lie inside the bundle")
    path = folder / relative
    if not path.is_file():
        raise BundleError(f"{folder}: {name} is missing or not a regular file; export the bundle again")
    found = digest(path)
    if found != listed:
        raise BundleError(
            f"{folder}: {name} was changed after the export (SHA-256 {found[0][:12]}…, "
            f"{found[1]} bytes; the manifest says {listed[0][:12]}…, {listed[1]} bytes); "
            "export the bundle again"
        )
