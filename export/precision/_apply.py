"""Application of a precision plan to an ONNX graph, which every runtime follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import onnx_ir
from onnx import ModelProto, version_converter
from onnxscript import optimizer

from lnlattennet.errors import ExportError
from lnlattennet.export.onnx._naming import block_of, check_model, name_after_blocks
from lnlattennet.export.onnx._portable import note_shapes
from lnlattennet.export.precision._half import HALVES, cast_blocks
from lnlattennet.export.precision._layers import layers
from lnlattennet.export.precision._quantize import quantize_blocks
from lnlattennet.export.precision._scale_groups import closed_layers
from lnlattennet.runtimes._precision import PRECISIONS, QUANTIZED, PrecisionPlan

METADATA_KEY = "precision_plan"
"""Key of the graph's metadata that holds its plan."""

_VERSIONS = {"fp8": (19, 9), "bf16": (22, 10)}
"""Opset and IR version that a precision needs: Q/DQ of 8-bit floats, and convolutions of bfloat16."""


def apply_plan(
    model: ModelProto,
    plan: PrecisionPlan,
    ranges: Mapping[str, tuple[float, float]],
    *,
    symmetric: bool = False,
) -> ModelProto:
    """Return the model with every block in its precision; the given model is not changed.

    Blocks in int8 and fp8 have float32 around their 8-bit layers (OpenVINO may compute it in bfloat16), those
    in fp16 and bf16 compute in that type throughout; inputs and outputs of the graph stay float32.
    ``planned_layers`` counts the layers that become 8-bit.

    Args:
        model: standard operators, float32, nodes named after their blocks (``onnx._inline.inlined``).
        plan: names every block of the model.
        ranges: tensor -> smallest and largest value; may be empty for a plan without int8 and fp8.
        symmetric: quantize as TensorRT demands, without zero points.

    Raises:
        ExportError: the plan does not fit the model, ranges are missing, a value does not fit float16, or the
            result is not valid.
    """
    _check_fit(model, plan)
    variant = _with_versions(model, plan)
    if plan.precisions == {"fp32"}:
        return variant
    edited = onnx_ir.from_proto(variant)
    for precision in QUANTIZED:
        quantize_blocks(edited.graph, _blocks_in(plan, precision), ranges, precision, symmetric=symmetric)
    cast_blocks(edited.graph, {block: chosen for block, chosen in plan.blocks.items() if chosen in HALVES})
    optimizer.remove_unused_nodes(edited)
    variant = onnx_ir.to_proto(edited)
    name_after_blocks(variant.graph)
    note_shapes(variant)
    variant.metadata_props.add(key=METADATA_KEY, value=plan.to_json())
    check_model(variant)
    return variant


def planned_layers(model: ModelProto, plan: PrecisionPlan) -> dict[str, int]:
    """Return precision -> how many layers every runtime can run in it, in the order of ``PRECISIONS``.

    Layers are convolutions and matrix products with a constant factor. In a block in int8 or fp8 those that
    are quantized and pass their result on in 8 bits count (``closed_layers``), others as fp32.

    Args:
        model: as for ``apply_plan``.
        plan: names every block of the model.

    Raises:
        ExportError: the plan does not fit the model.
    """
    _check_fit(model, plan)
    graph = onnx_ir.from_proto(model).graph
    closed = set().union(*(closed_layers(graph, _blocks_in(plan, name)) for name in QUANTIZED))
    counts: Counter[str] = Counter()
    for layer in layers(graph):
        precision = plan.blocks[layer.block]
        counts["fp32" if precision in QUANTIZED and layer.node.name not in closed else precision] += 1
    return {precision: counts[precision] for precision in PRECISIONS if counts[precision]}


def _blocks_in(plan: PrecisionPlan, precision: str) -> set[str]:
    return {block for block, chosen in plan.blocks.items() if chosen == precision}


def _check_fit(model: ModelProto, plan: PrecisionPlan) -> None:
    for block, precision in plan.blocks.items():
        if precision not in PRECISIONS:
            raise ExportError(
                f"block {block}: unknown precision {precision!r}; known: {', '.join(PRECISIONS)}"
            )
    if any(item.key == METADATA_KEY for item in model.metadata_props):
        raise ExportError("the model follows a precision plan already; apply plans to the float32 model")
    found = dict.fromkeys(block_of(node.name) for node in model.graph.node)
    for block in found:
        if block not in plan.blocks:
            raise ExportError(
                f"the plan has no precision for block {block!r}; its blocks: {', '.join(plan.blocks)}"
            )
    for block in plan.blocks:
        if block not in found:
            raise ExportError(f"the plan names block {block!r}, which the model lacks: {', '.join(found)}")


def _with_versions(model: ModelProto, plan: PrecisionPlan) -> ModelProto:
    """Copy the model, in the opset and IR version that the plan's precisions need."""
    current = (model.opset_import[0].version, model.ir_version)
    opset, ir_version = max([current, *(_VERSIONS[name] for name in plan.precisions if name in _VERSIONS)])
    copy = ModelProto()
    copy.CopyFrom(model)
    if opset > current[0]:
        copy = version_converter.convert_version(copy, opset)
        copy.ir_version = ir_version
    return copy
