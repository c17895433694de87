"""Running a graph, with any of its values made an output."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from lnlattennet.model._io_spec import OUTPUT_NAMES


def values(
    model: onnx.ModelProto, faces: NDArray[np.float32], names: tuple[str, ...] = OUTPUT_NAMES
) -> list[NDArray[np.float32]]:
    """The values called ``names``, by ONNX Runtime without any optimization."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(copy.SerializeToString(), options, ["CPUExecutionProvider"])
    return list(session.run(list(names), {"image": faces}))
