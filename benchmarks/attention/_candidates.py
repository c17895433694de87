"""The fused op and the formulations it is compared with, ready to be called on the features of one case."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

import lnlattennet.kernels  # noqa: F401  (registers the ops)
from lnlattennet.benchmarks.attention._baselines import (
    NonlocalParameters,
    Pooling,
    broadcast_form,
    masked_attention,
    matmul_form,
    region_mask,
    with_nonlocal,
)
from lnlattennet.benchmarks.attention._cases import AFFINITY_FEATURES, GRID, HEADS, Case

FUSED = "fused"
EAGER = "eager"
COMPILED = ("compile, matmul form", "compile, broadcast form")
MASKED = "masked SDPA"
READ = "read (F.sum())"
ONE_ELEMENT = "one-element kernel"
CUDA_VARIANTS = ("portable", "cluster_bands", "cluster_regions")
VARIANT_VARIABLE = "LNLATTENNET_CUDA_VARIANT"
DEFAULT_VARIANT = os.environ.get(VARIANT_VARIABLE, "automatic")

TOLERANCES = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 3e-2}
"""Largest |out - reference| / |reference| (Euclidean norms), the reference in float64 on the same inputs."""

Outputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class Candidate:
    """One way to compute a case.

    Attributes:
        name: in records and tables.
        call: features -> outputs, or with ``Case.backward`` the gradients of features and query.
        variant: variant of the CUDA kernels, set in the environment before the call is made or captured.
        checked: whether its outputs are the case's; False for operations that only show the machine's speed.
    """

    name: str
    call: Callable[[Tensor], Any]
    variant: str = DEFAULT_VARIANT
    checked: bool = True


@dataclass(frozen=True)
class Parameters:
    """Inputs of a case besides features: random, of the features' type, the same at every run."""

    query: Tensor
    nonlocal_attention: NonlocalParameters
    gradients: Outputs

    @staticmethod
    def of(case: Case, device: str) -> Parameters:
        """Draw the parameters of a case."""
        generator = torch.Generator().manual_seed(case.batch)
        regions, channels, width = GRID * GRID, case.channels, AFFINITY_FEATURES

        def draw(*shape: int, scale: float = 1.0) -> Tensor:
            return (torch.randn(shape, generator=generator) * scale).to(device, case.torch_dtype)

        def weight() -> Tensor:
            return draw(width, channels, scale=1 / math.sqrt(channels))

        nonlocal_ = NonlocalParameters(
            draw(regions, channels), weight(), weight(), weight(), draw(width), draw(width)
        )
        query = draw(regions, HEADS, channels).requires_grad_(case.backward)
        gradients = (draw(case.batch, regions, HEADS, channels), draw(case.batch, regions, channels))
        return Parameters(query, nonlocal_, gradients)


def candidates(case: Case, parameters: Parameters, features: Tensor) -> list[Candidate]:
    """Return the fused op, its baselines, and operations that show the machine's speed.

    "eager" is the matmul form without a compiler: what one would write. The broadcast form without a
    compiler is not among them: it took two to four times as long.
    """
    cuda = features.is_cuda
    mask = region_mask(features, GRID, HEADS)
    forms: dict[str, Pooling] = {
        EAGER: matmul_form,
        COMPILED[0]: matmul_form,
        COMPILED[1]: broadcast_form,
        MASKED: partial(masked_attention, mask=mask),
    }
    fused = Candidate(FUSED, _call(fused_operator(case), case, parameters))
    result = [fused]
    for name, form in forms.items():
        function: Callable[..., Outputs] = with_nonlocal(form) if case.nonlocal_attention else form
        if name in COMPILED:
            # The CUDA graphs are this benchmark's own, for every candidate alike.
            mode = "max-autotune-no-cudagraphs" if cuda else None
            function = torch.compile(function, dynamic=False, fullgraph=True, mode=mode)
        result.append(Candidate(name, _call(function, case, parameters)))
    result.append(Candidate(READ, lambda features: features.detach().sum(), checked=False))
    if cuda:
        one = torch.ones(1, device="cuda")
        result.append(Candidate(ONE_ELEMENT, lambda _: one.add_(1), checked=False))
        variants = () if case.backward else CUDA_VARIANTS
        result += [Candidate(f"{FUSED}, {name}", fused.call, name) for name in variants]
    return result


def fused_operator(case: Case) -> Callable[..., Outputs]:
    """Return the op that a case measures."""
    namespace = torch.ops.lnlattennet
    operator: Callable[..., Outputs] = (
        namespace.local_nonlocal_attention if case.nonlocal_attention else namespace.region_attention
    )
    return operator


def expected_outputs(case: Case, parameters: Parameters, features: Tensor) -> Outputs:
    """Return the reference outputs: those of the plain torch form in float64 on the same numbers."""
    exact = Parameters(
        parameters.query.detach().double().requires_grad_(case.backward),
        NonlocalParameters(*(tensor.double() for tensor in parameters.nonlocal_attention)),
        tuple(tensor.double() for tensor in parameters.gradients),
    )
    form: Callable[..., Outputs] = with_nonlocal(matmul_form) if case.nonlocal_attention else matmul_form
    return _call(form, case, exact)(features.detach().double().requires_grad_(case.backward))


def _call(
    function: Callable[..., Outputs], case: Case, parameters: Parameters
) -> Callable[[Tensor], Outputs]:
    query = parameters.query
    extra = parameters.nonlocal_attention if case.nonlocal_attention else ()

    def forward(features: Tensor) -> Outputs:
        return function(features, query, GRID, *extra)

    def forward_and_backward(features: Tensor) -> Outputs:
        outputs = function(features, query, GRID)
        return torch.autograd.grad(outputs, (features, query), parameters.gradients)

    return forward_and_backward if case.backward else forward
