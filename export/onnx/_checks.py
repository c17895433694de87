"""onnx.checker, with this package's errors."""

from __future__ import annotations

import onnx
from onnx import ModelProto

from lnlattennet.errors import ExportError


def check_model(model: ModelProto) -> None:
    """Check a model and the types and shapes in it.

    Raises:
        ExportError: it is not valid; says what onnx.checker says.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"{model.graph.name} is not a valid ONNX graph: {error}") from error
