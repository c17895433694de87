"""The standard-operator form of the exported graph, for runtimes that know no model-local functions."""

from __future__ import annotations

import onnx
import onnx.inliner
from onnx import ModelProto, NodeProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from lnlattennet.export.onnx._checks import check_model
from lnlattennet.export.onnx._naming import name_after_blocks
from lnlattennet.export.precision._blocks import block_of


def inlined(model: ModelProto) -> ModelProto:
    """Return the model with its functions written out, and what depends on parameters alone computed.

    Its nodes are named after their blocks as before; the model that was given stays as it is.

    Raises:
        ExportError: the result is not valid.
    """
    flat = onnx.inliner.inline_local_functions(model)
    _fold_constants(flat)
    del flat.graph.value_info[:]
    del flat.opset_import[:]
    flat.opset_import.extend(opset for opset in model.opset_import if not opset.domain)
    name_after_blocks(flat.graph, [block_of(node.name) for node in flat.graph.node])
    check_model(flat)
    return flat


def _fold_constants(model: ModelProto) -> None:
    """Replace nodes whose inputs are all constant by their value."""
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    kept: list[NodeProto] = []
    for node in graph.node:
        if not all(value in constants for value in node.input):
            kept.append(node)
            continue
        inputs = {value: numpy_helper.to_array(constants[value]) for value in node.input}
        results = ReferenceEvaluator(node, opsets=_opsets(model)).run(None, inputs)
        for value, result in zip(node.output, results, strict=True):
            constants[value] = numpy_helper.from_array(result, value)
    del graph.node[:]
    graph.node.extend(kept)
    used = {value for node in kept for value in node.input}
    del graph.initializer[:]
    graph.initializer.extend(tensor for name, tensor in constants.items() if name in used)


def _opsets(model: ModelProto) -> dict[str, int]:
    return {opset.domain: opset.version for opset in model.opset_import}
