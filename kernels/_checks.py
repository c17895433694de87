"""Rules of the ops' arguments, for the reference and for tracing.

The compiled bindings check the same rules, with the same messages, in csrc/torch/arguments.h: they also run
without Python. tests/kernels/test_input_errors.py holds both to one list of rules.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def check_dense(arguments: Sequence[object]) -> None:
    """Raise ValueError if one of the tensors is sparse, quantized or otherwise packed."""
    for tensor in arguments:
        if isinstance(tensor, Tensor) and (tensor.layout is not torch.strided or tensor.is_quantized):
            raise ValueError(
                "the attention takes dense tensors, got one of "
                f"{tensor.dtype if tensor.is_quantized else tensor.layout}; convert it first"
            )


def check_region_attention(features: Tensor, query: Tensor, grid: int) -> None:
    """Raise ValueError, with rule and value, if ``region_attention`` cannot take these."""
    if features.dim() != 4:
        raise ValueError(f"features must be [B, C, H, W], got {list(features.shape)}")
    if grid < 1:
        raise ValueError(f"grid must be at least 1, got {grid}")
    channels, height, width = features.shape[1:]
    if channels < 1 or height < 1 or width < 1:
        raise ValueError(f"features must have channels and positions, got {list(features.shape)}")
    if height % grid or width % grid:
        raise ValueError(f"features of {height}x{width} positions cannot be cut into a {grid}x{grid} grid")
    fits = query.dim() == 3 and query.shape[0] == grid * grid and query.shape[2] == channels
    if not fits or query.shape[1] < 1:
        raise ValueError(f"query must be [{grid * grid}, heads, {channels}], got {list(query.shape)}")
    _check_type("features", features)
    _check_parameter("query", query, "features", features)


def check_region_gradients(grad_pooled: Tensor, grad_mean: Tensor, features: Tensor, query: Tensor) -> None:
    """Raise ValueError if these are no gradients of the outputs of ``region_attention``."""
    batch, (regions, heads, channels) = features.shape[0], query.shape
    _check_shape("grad_pooled", grad_pooled, [batch, regions, heads, channels])
    _check_shape("grad_mean", grad_mean, [batch, regions, channels])


def check_nonlocal_attention(mean: Tensor, parameters: Sequence[Tensor]) -> None:
    """Raise ValueError, with rule and value, if ``nonlocal_attention`` cannot take these."""
    if mean.dim() != 3 or mean.shape[1] < 1 or mean.shape[2] < 1:
        raise ValueError(f"mean must be [B, K, C], got {list(mean.shape)}")
    _check_type("mean", mean)
    check_parameters(parameters, "mean", mean, mean.shape[1], mean.shape[2])


def check_parameters(
    parameters: Sequence[Tensor], reference_name: str, reference: Tensor, regions: int, channels: int
) -> None:
    """Raise ValueError if the learned tensors do not fit ``reference``, the argument ``reference_name``."""
    position, query_weight, *_ = parameters
    if query_weight.dim() != 2 or query_weight.shape[0] < 1:
        raise ValueError(f"query_weight must be [width, {channels}], got {list(query_weight.shape)}")
    width = query_weight.shape[0]
    shapes = {"position": [regions, channels]}
    shapes |= {name: [width, channels] for name in ("query_weight", "key_weight", "value_weight")}
    shapes |= {name: [width] for name in ("value_bias", "score_weight")}
    for (name, shape), tensor in zip(shapes.items(), parameters, strict=True):
        _check_shape(name, tensor, shape)
        _check_parameter(name, tensor, reference_name, reference)
        if tensor.dtype != position.dtype:
            raise ValueError(f"{name} must have the type of position ({position.dtype}), got {tensor.dtype}")


def _check_shape(name: str, tensor: Tensor, expected: Sequence[int]) -> None:
    if list(tensor.shape) != list(expected):
        raise ValueError(f"{name} must be {list(expected)}, got {list(tensor.shape)}")


def _check_type(name: str, tensor: Tensor) -> None:
    if tensor.dtype not in _TYPES:
        raise ValueError(f"{name} must be float32, float16, bfloat16 or float64, got {tensor.dtype}")


def _check_parameter(name: str, parameter: Tensor, reference_name: str, reference: Tensor) -> None:
    if parameter.device != reference.device:
        raise ValueError(
            f"{name} and {reference_name} must be on one device, "
            f"got {parameter.device} and {reference.device}"
        )
    if parameter.dtype not in (reference.dtype, torch.float32):
        raise ValueError(
            f"{name} must have the type of {reference_name} ({reference.dtype}) or float32, "
            f"got {parameter.dtype}"
        )
