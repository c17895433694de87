"""Stable names in an exported graph (nodes after their block, values after their node), and its check."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Sequence

import onnx
from onnx import GraphProto, ModelProto

from lnlattennet.errors import ExportError

_SCOPES = "pkg.torch.onnx.name_scopes"
_UNET_PART = re.compile(r"unet\.(?:(stem|project)(?:_local)?|(down|up)\.(\d+))")


def name_after_blocks(graph: GraphProto, blocks: Sequence[str] | None = None) -> None:
    """Name nodes ``BLOCK/OPERATOR_INDEX``, their outputs alike, and unnamed constants after their first use.

    Inputs, outputs and the network's parameters keep their names.

    Args:
        graph: changed in place.
        blocks: the block of every node, in the graph's order; None where the nodes' names begin with it.
    """
    if blocks is None:
        blocks = [block_of(node.name) for node in graph.node]
    kept = {value.name for value in [*graph.input, *graph.output]}
    constants = {tensor.name for tensor in graph.initializer if "." not in tensor.name}
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for node, block in zip(graph.node, blocks, strict=True):
        kind = f"{block}/{node.op_type}"
        node.name = f"{kind}_{counts[kind]}"
        counts[kind] += 1
        for index, value in enumerate(node.input):
            if value in constants:
                names.setdefault(value, f"{node.name}.{index}")
        for index, value in enumerate(node.output):
            if value and value not in kept:
                names[value] = node.name if len(node.output) == 1 else f"{node.name}:{index}"
    for node in graph.node:
        node.input[:] = [names.get(value, value) for value in node.input]
        node.output[:] = [names.get(value, value) for value in node.output]
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)


def block_of(node_name: str) -> str:
    """Return the block of a node that is named ``BLOCK/OPERATOR_INDEX``."""
    return node_name.partition("/")[0]


def traced_blocks(graph: GraphProto) -> list[str]:
    """Return the block of every node of a graph that torch traced, from the modules it was traced in."""
    blocks: list[str] = []
    consumer: dict[str, str] = {}
    for node in reversed(graph.node):
        # What joins two levels of the U-Net lies in no level's module; it belongs to the level it feeds.
        properties = {item.key: item.value for item in node.metadata_props}
        block = _block(ast.literal_eval(properties[_SCOPES])) or next(
            consumer[value] for value in node.output if value in consumer
        )
        blocks.append(block)
        consumer.update(dict.fromkeys(node.input, block))
    return blocks[::-1]


def _block(modules: list[str]) -> str:
    for module in modules:
        if part := _UNET_PART.fullmatch(module):
            single, direction, level = part.groups()
            return f"unet.{single or direction + str(int(level) + 1)}"
    if "nonlocal_attention" in modules:
        return "attention"
    if "local_networks" in modules:
        return "local_networks"
    return "" if "unet" in modules else "fusion"


def check_model(model: ModelProto) -> None:
    """Check a model and the types and shapes in it; raise ExportError with what onnx.checker says."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"{model.graph.name} is not a valid ONNX graph: {error}") from error
