"""The network's graph, rearranged for runtimes that hold a convolution's values channels-last."""

from __future__ import annotations

import onnx_ir
from onnx import ModelProto
from onnxscript import optimizer

from lnlattennet.export.onnx._naming import check_model
from lnlattennet.export.onnx._narrow import widen_narrow_convolutions
from lnlattennet.export.onnx._pooled import project_pooled
from lnlattennet.export.onnx._portable import note_shapes


def channels_last(model: ModelProto) -> ModelProto:
    """Return a graph of the same function, up to float32's rounding, that takes such a runtime less time.

    Its nodes are in the same blocks, and the U-Net's tensors that keep a name keep its values, in whatever
    order.

    Args:
        model: standard operators, float32, nodes named after their blocks (``inlined``); not changed.

    Raises:
        ExportError: the result is not valid.
    """
    rearranged = onnx_ir.from_proto(model)
    widen_narrow_convolutions(rearranged.graph)
    project_pooled(rearranged.graph)
    optimizer.remove_unused_nodes(rearranged)
    result = onnx_ir.to_proto(rearranged)
    note_shapes(result)
    check_model(result)
    return result
