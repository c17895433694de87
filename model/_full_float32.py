"""Convolutions in full float32, on a GPU too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_float32() -> Iterator[None]:
    """Keep a GPU's convolutions from rounding to TF32, by which they differ from every other runtime's."""
    # Without `enabled` this context would turn cuDNN off, and with it the fast convolutions.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
