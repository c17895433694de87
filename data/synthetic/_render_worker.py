"""Process that renders faces of one split on request; see ``_splits``.

    python -P -m lnlattennet.data.synthetic._render_worker SPLIT SEED SIZE

A line `START STOP` on stdin asks for the faces of that range; they are written to stdout, uint8
[STOP - START, SIZE, SIZE, 3].
"""

from __future__ import annotations

import os
import sys

import cv2

from lnlattennet.data.synthetic._splits import render_range


def main() -> None:
    """Run as the program that this module describes."""
    # What a library prints must not get between the pixels.
    pixels = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # One renderer per core needs no threads of OpenCV's own.
    cv2.setNumThreads(1)
    split, seed, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for line in sys.stdin:
        start, stop = map(int, line.split())
        pixels.write(render_range(split, range(start, stop), size, seed=seed).data)
        pixels.flush()


if __name__ == "__main__":
    main()
