"""OpenCV with one thread while faces are drawn: it rounds some pixels by the number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Leave OpenCV one thread, so that the same faces are drawn on every machine; see ``render_face``."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
