"""Many images, videos and cameras to one table of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names

if TYPE_CHECKING:
    from lnlattennet.streams._frame import Frame
    from lnlattennet.streams._rows import Columns, Model, Row

__all__ = ["Columns", "Frame", "Model", "Row"]

__getattr__ = lazy_names(__name__, __file__)
