"""Numbered frames of image sequences, of which the last three show the peak of the expression."""

from __future__ import annotations

import re
from pathlib import Path

from lnlattennet.data._files import listing

PEAK_FRAMES = 3
"""The protocol of CK+ and Oulu-CASIA: the last three frames of a sequence."""

_NUMBER = re.compile(r"(\d+)$")


def frames_in(folder: Path) -> list[str]:
    """Return the images of a sequence in the order of their frame numbers; [] if there is no folder."""
    if not folder.is_dir():
        return []
    numbered = [
        (number, name) for name in listing(folder).images if (number := frame_number(name)) is not None
    ]
    return [name for _, name in sorted(numbered)]


def frame_number(name: str) -> int | None:
    """Return the number at the end of a file name (`S005_001_00000011.png`: 11), None without one."""
    match = _NUMBER.search(Path(name).stem)
    return int(match.group(1)) if match else None
