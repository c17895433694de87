"""Faces for the small network, and the ranges that it takes on them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from lnlattennet.export.precision._calibration import Ranges, activation_ranges


@pytest.fixture(scope="session")
def noise_faces() -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((20, 3, 48, 48)).astype(np.float32)


@pytest.fixture(scope="session")
def small_ranges(small_standard: onnx.ModelProto, noise_faces: NDArray[np.float32]) -> Ranges:
    return activation_ranges(small_standard, noise_faces, "minmax")
