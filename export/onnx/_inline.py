"""The standard-operator form of the exported graph, for runtimes without model-local functions."""

from __future__ import annotations

import onnx.inliner
import onnx_ir
from onnx import ModelProto
from onnx_ir.passes.common import LiftConstantsToInitializersPass
from onnxscript import optimizer

from lnlattennet.export.onnx._naming import check_model, name_after_blocks
from lnlattennet.export.onnx._portable import note_shapes, separate_outputs


def inlined(model: ModelProto) -> ModelProto:
    """Return the model with its functions inlined, and its constant expressions computed.

    Its nodes are named after their blocks as before; the given model is not changed.

    Raises:
        ExportError: the result is not valid.
    """
    flat = _fold_constants(onnx.inliner.inline_local_functions(model))
    del flat.opset_import[:]
    flat.opset_import.extend(opset for opset in model.opset_import if not opset.domain)
    separate_outputs(flat.graph)
    name_after_blocks(flat.graph)
    note_shapes(flat)
    check_model(flat)
    return flat


def _fold_constants(model: ModelProto) -> ModelProto:
    """Return the model with every node of constant inputs replaced by its value."""
    graph = onnx_ir.from_proto(model)
    # The default limits would leave large parameters as they are.
    optimizer.fold_constants(graph, input_size_limit=2**31, output_size_limit=2**31)
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(graph)
    optimizer.remove_unused_nodes(graph)
    return onnx_ir.to_proto(graph)
