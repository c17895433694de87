"""Ranges of a network's activations, measured by ONNX Runtime's calibrators."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
from numpy.typing import NDArray
from onnx import ModelProto

from lnlattennet._onnxruntime import import_onnxruntime
from lnlattennet.errors import ExportError
from lnlattennet.export.precision._scale_groups import measured_tensors
from lnlattennet.model._io_spec import INPUT_NAME

Ranges = dict[str, tuple[float, float]]
"""Tensor name -> smallest and largest value to represent."""

_BATCH = 8

_METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "minmax": ("MinMaxCalibrater", {}),
    # Both tails together lose 1 value in 10,000.
    "percentile": ("PercentileCalibrater", {"num_bins": 2048, "percentile": 99.99}),
    # Its levels are symmetric about 0: of 512, what follows a ReLU has the 256 that 8 bits have.
    "entropy": ("EntropyCalibrater", {"num_bins": 1024, "num_quantized_bins": 512}),
}
"""Name of a method -> ONNX Runtime's class, and its settings."""


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
    if method not in _METHODS:
        raise ExportError(f"unknown calibration method {method!r}; known: {', '.join(_METHODS)}")
    # The calibrators report progress on stdout, which belongs to a command's result.
    with (
        tempfile.TemporaryDirectory(prefix="lnlattennet-") as folder,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        calibrator = _calibrator(model, method, Path(folder))
        try:
            for start in range(0, len(faces), _BATCH):
                calibrator.collect_data(_OneBatch(faces[start : start + _BATCH]))
        except (ValueError, IndexError) as error:
            # numpy's histogram has no bin for an infinity, and raises one or the other.
            raise ExportError(
                f"the network cannot be calibrated with {method!r}: are its values finite? ({error})"
            ) from error
        measured = calibrator.compute_data()
    ranges = {}
    for name, data in measured.items():
        # Scalars or arrays of one element or several, depending on the method.
        low, high = data.range_value
        ranges[name] = bounds = float(np.min(low)), float(np.max(high))
        if not np.isfinite(bounds).all():
            raise ExportError(f"tensor {name!r} takes values that are not finite: {bounds}")
    return ranges


def _calibrator(model: ModelProto, method: str, folder: Path) -> Any:
    import_onnxruntime()
    from onnxruntime.quantization import calibrate

    name, settings = _METHODS[method]
    onnx.save_model(model, str(folder / "model.onnx"))
    calibrator = getattr(calibrate, name)(
        folder / "model.onnx", augmented_model_path=str(folder / "augmented.onnx"), **settings
    )
    tensors = set(measured_tensors(onnx_ir.from_proto(model).graph))
    # By default it measures inputs and outputs of every operator, which takes several times as long.
    select = calibrator.select_tensors_to_calibrate
    calibrator.select_tensors_to_calibrate = lambda graph: (tensors, select(graph)[1])
    calibrator.augment_graph()
    calibrator.set_execution_providers(["CPUExecutionProvider"])
    return calibrator


class _OneBatch:
    """CalibrationDataReader of one batch."""

    def __init__(self, faces: NDArray[np.float32]) -> None:
        self._batches = iter([{INPUT_NAME: faces}])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._batches, None)
