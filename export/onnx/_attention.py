"""The head's fused attention in ONNX: one node of the project's domain, its body in standard operators."""

from __future__ import annotations

import math

import onnx.parser
import torch
from onnx import FunctionProto
from torch import Tensor

from lnlattennet.model._config import NetworkConfig

DOMAIN = "lnlattennet"
"""Domain of the operator, and name space of a TensorRT plugin that would replace it."""

OPERATOR = "local_nonlocal_attention"
"""The torch op of the same name takes the same arguments in the same order, and gives the same outputs."""


def attention_node(
    features: Tensor, query: Tensor, grid: int, position: Tensor, *parameters: Tensor
) -> tuple[Tensor, ...]:
    """Return the outputs of the ONNX node that replaces the fused op in the export, with the op's shapes.

    Args:
        features: F [B, C, H, W].
        query: q [K, heads, C].
        grid: regions per side; becomes an attribute of the node.
        position: e [K, C].
        parameters: the other tensors of the torch op.

    Returns:
        pooled [B, K, heads, C], mean [B, K, C], weights [B, K], affinity [B, K, K], context [B, d].
    """
    batch, (regions, heads, channels), width = features.shape[0], query.shape, parameters[-1].shape[0]
    outputs = torch.onnx.ops.symbolic_multi_out(
        f"{DOMAIN}::{OPERATOR}",
        [features, query, position, *parameters],
        # TensorRT looks a plugin up by this attribute and the operator's name.
        {"grid": grid, "plugin_namespace": DOMAIN},
        dtypes=[features.dtype] * 5,
        shapes=[
            (batch, regions, heads, channels),
            (batch, regions, channels),
            (batch, regions),
            (batch, regions, regions),
            (batch, width),
        ],
        version=1,
    )
    return tuple(outputs)


def attention_function(config: NetworkConfig, opset: int) -> FunctionProto:
    """Return the model-local function of the node for one network; its nodes are named after its block.

    The equations are in docs/reference/network.md. Parameters are scaled instead of scores, so that the
    product can be folded into a constant. The regions are cut from channels-last features, the order in
    which runtimes convolve: what is moved then is whole rows of a region. OpenVINO's int8 graph of a fixed
    batch of 8 takes 1.2 times as long with channels first.
    """
    grid, side, channels = config.grid, config.feature_size // config.grid, config.channels
    body = _BODY.format(
        opset=opset,
        rows=f"{{-1, {grid}, {side}, {grid}, {side * channels}}}",
        regions=f"{{-1, {config.regions}, {side * side}, {channels}}}",
        query_scale=repr(1 / math.sqrt(channels)),
        key_scale=repr(1 / math.sqrt(config.affinity_features)),
    )
    function = onnx.parser.parse_function(body)
    for index, node in enumerate(function.node):
        node.name = f"attention/{node.op_type}_{index}"
    return function


_BODY = (
    f"""
<domain: "{DOMAIN}", opset_import: ["" : {{opset}}]>
{OPERATOR} <grid, plugin_namespace>
(features, query, position, query_weight, key_weight, value_weight, value_bias, score_weight)
=> (pooled, mean, weights, affinity, context)
"""
    + """{{
    channels_last = Transpose <perm = [0, 2, 3, 1]> (features)
    rows_shape = Constant <value = int64[5] {rows}> ()
    rows = Reshape (channels_last, rows_shape)
    rows_by_region = Transpose <perm = [0, 1, 3, 2, 4]> (rows)
    regions_shape = Constant <value = int64[4] {regions}> ()
    regions = Reshape (rows_by_region, regions_shape)
    query_scale = Constant <value = float {{{query_scale}}}> ()
    scaled_query = Mul (query, query_scale)
    query_columns_by_region = Transpose <perm = [0, 2, 1]> (scaled_query)
    scores_by_position = MatMul (regions, query_columns_by_region)
    scores = Transpose <perm = [0, 1, 3, 2]> (scores_by_position)
    attention = Softmax <axis = -1> (scores)
    pooled = MatMul (attention, regions)
    positions = Constant <value = int64[1] {{2}}> ()
    mean = ReduceMean <keepdims = 0> (regions, positions)
    tokens = Add (mean, position)
    query_columns = Transpose <perm = [1, 0]> (query_weight)
    queries = MatMul (tokens, query_columns)
    key_scale = Constant <value = float {{{key_scale}}}> ()
    scaled_key_weight = Mul (key_weight, key_scale)
    key_columns = Transpose <perm = [1, 0]> (scaled_key_weight)
    keys = MatMul (tokens, key_columns)
    value_columns = Transpose <perm = [1, 0]> (value_weight)
    values_without_bias = MatMul (tokens, value_columns)
    values = Add (values_without_bias, value_bias)
    keys_by_column = Transpose <perm = [0, 2, 1]> (keys)
    products = MatMul (queries, keys_by_column)
    affinity = Softmax <axis = -1> (products)
    contexts = MatMul (affinity, values)
    positive_contexts = Relu (contexts)
    last = Constant <value = int64[1] {{-1}}> ()
    score_column = Unsqueeze (score_weight, last)
    region_scores_column = MatMul (positive_contexts, score_column)
    region_scores = Squeeze (region_scores_column, last)
    weights = Softmax <axis = -1> (region_scores)
    weights_column = Unsqueeze (weights, last)
    weighted_contexts = Mul (weights_column, contexts)
    second = Constant <value = int64[1] {{1}}> ()
    context = ReduceSum <keepdims = 0> (weighted_contexts, second)
}}
"""
)
