"""Calibration: ranges against the values themselves."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from lnlattennet.errors import ExportError
from lnlattennet.export.precision._calibration import Ranges, activation_ranges
from tests.export.precision.graphs import values

Faces = NDArray[np.float32]


def test_minmax_gives_the_extremes_of_every_tensor_that_a_convolution_reads(
    small_standard: onnx.ModelProto, small_ranges: Ranges, noise_faces: Faces
) -> None:
    names = {"image", *(f"unet.{block}/Relu_{i}" for block in ("stem", "down1", "up1") for i in (0, 1))}
    assert set(small_ranges) == names
    tensors = tuple(sorted(names - {"image"}))
    for name, value in zip(tensors, values(small_standard, noise_faces, tensors), strict=True):
        np.testing.assert_allclose(small_ranges[name], (value.min(), value.max()), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(small_ranges["image"], (noise_faces.min(), noise_faces.max()))


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_the_other_methods_leave_the_rarest_values_out(
    method: str,
    small_standard: onnx.ModelProto,
    small_ranges: Ranges,
    noise_faces: Faces,
    capsys: pytest.CaptureFixture[str],
) -> None:
    outlier = noise_faces.copy()
    outlier[0, 0, 0, 0] = 100
    found = activation_ranges(small_standard, outlier, method)
    assert set(found) == set(small_ranges)
    assert all(low <= high for low, high in found.values())
    assert 1 < found["image"][1] < 80
    # Standard output is the result of the command, and the library talks.
    assert capsys.readouterr().out == ""


def test_an_unknown_method_is_refused_with_the_known_ones(
    small_standard: onnx.ModelProto, noise_faces: Faces
) -> None:
    with pytest.raises(ExportError, match="unknown calibration method 'mse'; known: minmax, percentile, ent"):
        activation_ranges(small_standard, noise_faces, "mse")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("method", ["minmax", "percentile"])
def test_values_that_are_not_finite_are_refused(
    method: str, small_standard: onnx.ModelProto, noise_faces: Faces
) -> None:
    """The faces are finite; their sums in the first convolution are not."""
    with pytest.raises(ExportError, match="finite"):
        activation_ranges(small_standard, np.full_like(noise_faces[:2], 3e38), method)
