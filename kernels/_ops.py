"""Registration of the ops ``torch.ops.lnlattennet.*``: schemas, fakes for tracing, gradients, first use.

The compiled libraries only add implementations for their device; as soon as they are loaded, these take the
place of the one here. Tracing (torch.compile, torch.export) meets only fakes: it loads and builds nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from lnlattennet.kernels import _autograd, _flops
from lnlattennet.kernels import _reference as reference
from lnlattennet.kernels._checks import (
    check_dense,
    check_nonlocal_attention,
    check_parameters,
    check_region_attention,
    check_region_gradients,
)
from lnlattennet.kernels._loader import load_kernels

_PARAMETERS = (
    "Tensor position, Tensor query_weight, Tensor key_weight, Tensor value_weight, Tensor value_bias, "
    "Tensor score_weight"
)
_NONLOCAL_OUTPUTS = "Tensor weights, Tensor affinity, Tensor context"

_library = torch.library.Library("lnlattennet", "DEF")  # type: ignore[no-untyped-call]


def _define(
    schema: str,
    reference_impl: Callable[..., Any],
    fake: Callable[..., Any],
    autograd: tuple[Callable[..., Any], Callable[..., None] | None],
    flop_formula: Callable[..., int],
) -> torch._ops.OpOverload[..., Any]:
    """Define an op.

    Args:
        schema: the op's name, arguments and outputs.
        reference_impl: the reference in torch operations.
        fake: function that returns empty outputs, for tracing.
        autograd: functions of the gradients: the backward pass, and what saves its inputs.
        flop_formula: function that counts floating-point operations.
    """
    name = schema.partition("(")[0]
    _library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))  # type: ignore[no-untyped-call]
    op: torch._ops.OpOverload[..., Any] = getattr(torch.ops.lnlattennet, name).default

    def first_use(keyset: torch._C.DispatchKeySet, *arguments: Any) -> Any:
        """Run the compiled kernel from now on, or the reference where there is none."""
        # For other tensors no kernel will ever be registered, and this function would call itself forever.
        check_dense(arguments)
        device = _device(arguments)
        if load_kernels(device):
            return op.redispatch(keyset, *arguments)
        # The compiled kernels never see autocast; the reference's matrix products would.
        with torch.autocast(device, enabled=False):
            return reference_impl(*arguments)

    _library.impl(name, first_use, "CompositeExplicitAutograd", with_keyset=True)  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"lnlattennet::{name}", fake, lib=_library)
    backward, setup_context = autograd
    torch.library.register_autograd(
        f"lnlattennet::{name}", backward, setup_context=setup_context, lib=_library
    )
    register_flop_formula(op.overloadpacket)(flop_formula)
    return op


def _device(arguments: tuple[Any, ...]) -> str:
    """Return the type of the device that the dispatcher chose: between the CPU and another, the other."""
    types = {argument.device.type for argument in arguments if isinstance(argument, Tensor)}
    return min(types - {"cpu"}, default="cpu")


def _fake_region_attention(features: Tensor, query: Tensor, grid: int) -> tuple[Tensor, Tensor]:
    check_region_attention(features, query, grid)
    batch, (regions, heads, channels) = features.shape[0], query.shape
    pooled = features.new_empty((batch, regions, heads, channels))
    return pooled, features.new_empty((batch, regions, channels))


def _fake_region_attention_backward(
    grad_pooled: Tensor, grad_mean: Tensor, features: Tensor, query: Tensor, grid: int
) -> tuple[Tensor, Tensor]:
    check_region_attention(features, query, grid)
    check_region_gradients(grad_pooled, grad_mean, features, query)
    grad_features = torch.empty_like(features, memory_format=reference.gradient_layout(features))
    return grad_features, torch.empty_like(query, memory_format=torch.contiguous_format)


def _fake_nonlocal_attention(mean: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    check_nonlocal_attention(mean, parameters)
    return _empty_nonlocal_outputs(mean.shape[0], *parameters)


def _fake_local_nonlocal_attention(
    features: Tensor, query: Tensor, grid: int, *parameters: Tensor
) -> tuple[Tensor, ...]:
    outputs = _fake_region_attention(features, query, grid)
    check_parameters(parameters, "features", features, query.shape[0], query.shape[2])
    return *outputs, *_empty_nonlocal_outputs(features.shape[0], *parameters)


def _empty_nonlocal_outputs(batch: int, *parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    position, value_bias = parameters[0], parameters[4]
    regions, width = position.shape[0], value_bias.shape[0]
    weights = position.new_empty((batch, regions))
    return weights, position.new_empty((batch, regions, regions)), position.new_empty((batch, width))


_region_attention = _define(
    "region_attention(Tensor features, Tensor query, int grid) -> (Tensor pooled, Tensor mean)",
    reference.region_attention,
    _fake_region_attention,
    _autograd.REGION_ATTENTION,
    _flops.region_attention,
)
_define(
    "region_attention_backward(Tensor grad_pooled, Tensor grad_mean, Tensor features, Tensor query, "
    "int grid) -> (Tensor grad_features, Tensor grad_query)",
    reference.region_attention_backward,
    _fake_region_attention_backward,
    _autograd.REGION_ATTENTION_BACKWARD,
    _flops.region_attention_backward,
)
_nonlocal_attention = _define(
    f"nonlocal_attention(Tensor mean, {_PARAMETERS}) -> ({_NONLOCAL_OUTPUTS})",
    reference.nonlocal_attention,
    _fake_nonlocal_attention,
    _autograd.NONLOCAL_ATTENTION,
    _flops.nonlocal_attention,
)
_local_nonlocal_attention = _define(
    f"local_nonlocal_attention(Tensor features, Tensor query, int grid, {_PARAMETERS}) "
    f"-> (Tensor pooled, Tensor mean, {_NONLOCAL_OUTPUTS})",
    reference.local_nonlocal_attention,
    _fake_local_nonlocal_attention,
    _autograd.LOCAL_NONLOCAL_ATTENTION,
    _flops.local_nonlocal_attention,
)


def decompositions() -> dict[torch._ops.OperatorBase, Callable[..., Any]]:
    """Return the operators in plain torch, for ``ExportedProgram.run_decompositions``.

    What knows only torch's own operators (`torch.onnx.export`, other backends) can then take a network with
    them.
    """
    return {
        _region_attention: reference.region_attention,
        _nonlocal_attention: reference.nonlocal_attention,
        _local_nonlocal_attention: reference.local_nonlocal_attention,
    }


def region_attention(features: Tensor, query: Tensor, grid: int) -> tuple[Tensor, Tensor]:
    """Pool every region of a feature map by its own attention, and by its mean; reads the map once.

    Args:
        features: F [B, C, H, W], float32, float16, bfloat16 or float64; H and W divisible by ``grid``.
            Contiguous, channels_last and slices of either are read in place; any other layout is copied.
        query: q [K, heads, C], K = grid * grid; of the features' type or float32.
        grid: regions per side; regions are numbered row by row.

    Returns:
        ``pooled`` [B, K, heads, C] = sum_p softmax_p(<q, F_p> / sqrt(C)) F_p and ``mean`` [B, K, C], both of
        the features' type, accumulated in float32 (float64 for float64).

    Raises:
        ValueError: an argument breaks a rule (RuntimeError where the compiled kernel finds it).
    """
    pooled, mean = _region_attention(features, query, grid)
    return pooled, mean


def nonlocal_attention(
    mean: Tensor,
    position: Tensor,
    query_weight: Tensor,
    key_weight: Tensor,
    value_weight: Tensor,
    value_bias: Tensor,
    score_weight: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Attend from every region to all regions, then weigh the regions.

    Args:
        mean: m [B, K, C], the regions' means.
        position: e [K, C]; it and the tensors below are of one type, the means' or float32.
        query_weight: Q [d, C].
        key_weight: K [d, C].
        value_weight: V [d, C].
        value_bias: b [d].
        score_weight: v [d].

    Returns:
        With t = m + e and c = A (V t + b): ``weights`` w = softmax_k(v . relu(c_k)) [B, K], ``affinity``
        A = softmax(Q t (K t)^T / sqrt(d)) [B, K, K] and ``context`` sum_k w_k c_k [B, d]; all of the
        parameters' type.

    Raises:
        ValueError: an argument breaks a rule (RuntimeError where the compiled kernel finds it).
    """
    parameters = (position, query_weight, key_weight, value_weight, value_bias, score_weight)
    weights, affinity, context = _nonlocal_attention(mean, *parameters)
    return weights, affinity, context


def local_nonlocal_attention(
    features: Tensor,
    query: Tensor,
    grid: int,
    position: Tensor,
    query_weight: Tensor,
    key_weight: Tensor,
    value_weight: Tensor,
    value_bias: Tensor,
    score_weight: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return ``region_attention``, and ``nonlocal_attention`` of its means, in one op (on a GPU: one launch).

    Args:
        features: as in ``region_attention``, like ``query`` and ``grid``.
        query: q [K, heads, C].
        grid: regions per side.
        position: as in ``nonlocal_attention``, like all that follow.
        query_weight: Q [d, C].
        key_weight: K [d, C].
        value_weight: V [d, C].
        value_bias: b [d].
        score_weight: v [d].

    Returns:
        ``pooled``, ``mean``, ``weights``, ``affinity`` and ``context``.

    Raises:
        ValueError: an argument breaks a rule (RuntimeError where the compiled kernel finds it).
    """
    parameters = (position, query_weight, key_weight, value_weight, value_bias, score_weight)
    pooled, mean, weights, affinity, context = _local_nonlocal_attention(features, query, grid, *parameters)
    return pooled, mean, weights, affinity, context
