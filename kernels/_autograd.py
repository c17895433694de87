"""Gradients of the ops: a kernel for the regions, torch operations for the small non-local attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lnlattennet.kernels._reference import nonlocal_attention_backward


def _save_region(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    features, query, ctx.grid = inputs
    ctx.save_for_backward(features, query)


def _region_backward(ctx: Any, grad_pooled: Tensor, grad_mean: Tensor) -> tuple[Tensor | None, ...]:
    features, query = ctx.saved_tensors
    return *_region_gradients(grad_pooled, grad_mean, features, query, ctx.grid), None


def _region_gradients(
    grad_pooled: Tensor, grad_mean: Tensor, features: Tensor, query: Tensor, grid: int
) -> tuple[Tensor, Tensor]:
    op = torch.ops.lnlattennet.region_attention_backward.default
    grad_features, grad_query = op(grad_pooled, grad_mean, features, query, grid)
    return grad_features, grad_query


def _no_second_derivative(ctx: Any, *gradients: Tensor) -> None:
    raise RuntimeError(
        "region_attention has no second derivative; lnlattennet.kernels._reference.region_attention has one"
    )


def _save_nonlocal(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs)


def _nonlocal_backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
    return _nonlocal_gradients(gradients, *ctx.saved_tensors)


def _nonlocal_gradients(gradients: tuple[Tensor, ...], *saved: Tensor) -> tuple[Tensor, ...]:
    # The forward pass never sees autocast either.
    with torch.autocast(saved[0].device.type, enabled=False):
        return nonlocal_attention_backward(gradients, *saved)


def _save_local_nonlocal(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    features, query, ctx.grid, *parameters = inputs
    _, mean, *_ = output
    # The feature map is by far the largest tensor here: keep it only for a gradient that reads it.
    ctx.needs_region = any(ctx.needs_input_grad[:2])
    region = (features, query) if ctx.needs_region else ()
    ctx.save_for_backward(mean, *parameters, *region)


def _local_nonlocal_backward(
    ctx: Any, grad_pooled: Tensor, grad_mean: Tensor, *gradients: Tensor
) -> tuple[Tensor | None, ...]:
    mean, *saved = ctx.saved_tensors
    parameters, region = saved[:6], saved[6:]
    grad_nonlocal_mean, *grad_parameters = _nonlocal_gradients(gradients, mean, *parameters)
    grad_region: tuple[Tensor | None, ...] = (None, None)
    if ctx.needs_region:
        features, query = region
        grad_region = _region_gradients(
            grad_pooled, grad_mean + grad_nonlocal_mean, features, query, ctx.grid
        )
    return *grad_region, None, *grad_parameters


# Arguments ``backward`` and ``setup_context`` of ``torch.library.register_autograd``.
REGION_ATTENTION = (_region_backward, _save_region)
REGION_ATTENTION_BACKWARD = (_no_second_derivative, None)
NONLOCAL_ATTENTION = (_nonlocal_backward, _save_nonlocal)
LOCAL_NONLOCAL_ATTENTION = (_local_nonlocal_backward, _save_local_nonlocal)
