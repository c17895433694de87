"""Stable names in an exported graph: each node after its block of the network, each value after its node."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Sequence

from onnx import GraphProto, NodeProto

_SCOPES = "pkg.torch.onnx.name_scopes"
_UNET_PART = re.compile(r"unet\.(?:(stem|project)|(down|up)\.(\d+))")


def name_after_blocks(graph: GraphProto, blocks: Sequence[str]) -> None:
    """Name nodes ``BLOCK/OPERATOR_INDEX``, their outputs alike, and unnamed constants after their first use.

    Inputs, outputs and the network's parameters keep their names.

    Args:
        graph: changed in place.
        blocks: the block of every node, in the graph's order.
    """
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


def traced_blocks(graph: GraphProto) -> list[str]:
    """Return the block of every node of a graph that torch traced, from the modules it was traced in."""
    blocks: list[str] = []
    consumer: dict[str, str] = {}
    for node in reversed(graph.node):
        # What joins two levels of the U-Net lies in no level's module; it belongs to the level it feeds.
        block = _block(_module_names(node)) or next(
            consumer[value] for value in node.output if value in consumer
        )
        blocks.append(block)
        consumer.update(dict.fromkeys(node.input, block))
    return blocks[::-1]


def _module_names(node: NodeProto) -> list[str]:
    properties = {item.key: item.value for item in node.metadata_props}
    return list(ast.literal_eval(properties[_SCOPES]))


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
