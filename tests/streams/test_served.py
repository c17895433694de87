"""Frames as a server gets them."""

from __future__ import annotations

import numpy as np
import pytest

from lnlattennet.errors import ImageError
from lnlattennet.streams._served import _encoded


def test_a_frame_that_servers_refuse_for_its_size_is_not_encoded() -> None:
    # No memory is behind these pixels.
    frame = np.broadcast_to(np.uint8(0), (4001, 4000, 3))
    with pytest.raises(ImageError, match=r"at most 16,000,000 pixels, got 4000 x 4001"):
        _encoded(frame)
