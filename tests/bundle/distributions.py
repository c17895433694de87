"""What a distribution brings, with everything that it needs."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(names: set[str]) -> set[str]:
    """Distributions that these need, and theirs, without extras."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        requirements = map(Requirement, needed)
        waiting |= {r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})}
    return found


def installed_entries(name: str) -> set[Path]:
    """Files and folders of a distribution directly in site-packages; none if it is not installed."""
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return set()
    folder = Path(str(distribution.locate_file("")))
    return {folder / file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}
