"""The ranges of a network's activations, measured by ONNX Runtime's calibrators."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto

from lnlattennet.errors import ExportError
from lnlattennet.export.precision._scale_groups import measured_tensors
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.runtimes._onnxruntime import import_onnxruntime

Ranges = dict[str, tuple[float, float]]
"""Tensor name -> smallest and largest value to represent."""

_BATCH = 8

_SETTINGS: dict[str, dict[str, Any]] = {
    "minmax": {},
    # Both tails together lose 1 value in 10,000.
    "percentile": {"num_bins": 2048, "percentile": 99.99},
    # Its levels are symmetric about 0: of 512, what follows a ReLU has the 256 that 8 bits have.
    "entropy": {"num_bins": 1024, "num_quantized_bins": 512},
}


def activation_ranges(model: ModelProto, faces: NDArray[np.float32], method: str) -> Ranges:
    """Run the faces through the network on the CPU and return the ranges that decide its 8-bit scales.

    Memory does not grow with the number of faces: each batch leaves two numbers, or a histogram, per tensor.

    Args:
        model: standard operators, float32.
        faces: normalized, float32 [n, 3, S, S].
        method: "minmax", "percentile" or "entropy".

    Raises:
        ExportError: an unknown method, or the network gives values that are not finite.
    """
    if method not in _SETTINGS:
        raise ExportError(f"unknown calibration method {method!r}; known: {', '.join(_SETTINGS)}")
    # The calibrators tell of their progress on stdout, which belongs to a command's result.
    with (
        tempfile.TemporaryDirectory(prefix="lnlattennet-") as folder,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        calibrator = _calibrator(model, method, Path(folder))
        try:
            for start in range(0, len(faces), _BATCH):
                calibrator.collect_data(_OneBatch(faces[start : start + _BATCH]))
        except (ValueError, IndexError) as error:
            # numpy's histogram finds no bin for an infinity, and says so in either way.
            raise ExportError(
                f"the network cannot be calibrated with {method!r}: are its values finite? ({error})"
            ) from error
        measured = calibrator.compute_data()
    ranges = {name: _bounds(*data.range_value) for name, data in measured.items()}
    for name, bounds in ranges.items():
        if not np.isfinite(bounds).all():
            raise ExportError(f"tensor {name!r} takes values that are not finite: {bounds}")
    return ranges


def _calibrator(model: ModelProto, method: str, folder: Path) -> Any:
    import_onnxruntime()
    from onnxruntime.quantization import calibrate

    classes = {
        "minmax": calibrate.MinMaxCalibrater,
        "percentile": calibrate.PercentileCalibrater,
        "entropy": calibrate.EntropyCalibrater,
    }
    onnx.save_model(model, str(folder / "model.onnx"))
    calibrator = classes[method](
        folder / "model.onnx", augmented_model_path=str(folder / "augmented.onnx"), **_SETTINGS[method]
    )
    tensors = set(measured_tensors(model.graph))
    # Left to itself it measures both sides of every operator, which takes several times as long.
    select = calibrator.select_tensors_to_calibrate
    calibrator.select_tensors_to_calibrate = lambda graph: (tensors, select(graph)[1])
    calibrator.augment_graph()
    calibrator.set_execution_providers(["CPUExecutionProvider"])
    return calibrator


class _OneBatch:
    """A CalibrationDataReader over one batch."""

    def __init__(self, faces: NDArray[np.float32]) -> None:
        self._batches = iter([{INPUT_NAME: faces}])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._batches, None)


def _bounds(low: Any, high: Any) -> tuple[float, float]:
    # Calibrators give scalars or arrays of one element or several, as the method has it.
    return float(np.min(low)), float(np.max(high))
