"""Registry of the face finders: a new one is a module with the names of ``FinderModule``, and a line here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from lnlattennet.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from lnlattennet.images.finders._base import FinderInfo, FinderModule
    from lnlattennet.model._preprocessing import FaceAlignment

FINDERS = {
    "haar": "_haar",
    "libfacedetection": "_libfacedetection",
}
"""Name -> module; the first is part of every installation."""


def finder_named(name: str) -> FinderModule:
    """Import the finder module ``name``, which imports no package of its own yet.

    Raises:
        UsageError: there is no such finder; lists the known ones.
    """
    if name not in FINDERS:
        raise UsageError(f"unknown face finder {name!r}; known: {', '.join(FINDERS)}")
    return cast("FinderModule", importlib.import_module(f"lnlattennet.images.finders.{FINDERS[name]}"))


def finder_infos() -> list[FinderInfo]:
    """Return the facts about every finder, in the order of ``FINDERS``."""
    return [finder_named(name).INFO for name in FINDERS]


def check_alignment(finder: FinderInfo, alignment: FaceAlignment) -> None:
    """Raise ConfigError if faces are to be aligned and the finder gives no landmarks."""
    if alignment == "five-points" and not finder.has_landmarks:
        able = ", ".join(info.name for info in finder_infos() if info.has_landmarks)
        raise ConfigError(
            f"face_alignment 'five-points' needs landmarks, which the face finder {finder.name} "
            f"does not give: choose the finder {able}, or face_alignment 'none'"
        )


def version_note(name: str, trained: str) -> str | None:
    """Say that the finder ``name`` is installed in another version than the network was trained with.

    Args:
        name: a face finder.
        trained: its version in training; empty if unknown.
    """
    installed = finder_named(name).version()
    if trained in ("", installed):
        return None
    return (
        f"the network was trained with faces of {name} {trained}, and {installed} is installed: "
        "its boxes may differ"
    )
