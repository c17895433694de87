"""The fused op and its rivals, ready to be called on the features of one case."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lnlattennet.benchmarks.attention._baselines import (
    Pooling,
    Tail,
    broadcast_form,
    masked_attention,
    matmul_form,
    region_mask,
    with_tail,
)
from lnlattennet.benchmarks.attention._cases import GRID, HEADS, TAIL_WIDTH, Case
from lnlattennet.errors import UnavailableError
from lnlattennet.kernels._loader import implementation, load_kernels

FUSED = "fused"
EAGER = "eager"
COMPILED = ("compile, matmul form", "compile, broadcast form")
MASKED = "masked SDPA"
READ = "read (F.sum())"
ONE_ELEMENT = "one-element kernel"
CUDA_VARIANTS = ("portable", "cluster_bands", "cluster_regions")
VARIANT_VARIABLE = "LNLATTENNET_CUDA_VARIANT"

TOLERANCES = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 3e-2}
"""Largest |out - reference| / |reference| (Euclidean norms), the reference in float64 on the same inputs."""

Outputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class Rival:
    """One way to compute a case.

    Attributes:
        name: what records and tables call it.
        call: features -> outputs, or with ``Case.backward`` the gradients of features and query.
        environment: variables that must be set while it is called or captured.
        compiled: whether its first call compiles it.
        checked: whether it computes what the case asks for; False for the yardsticks.
    """

    name: str
    call: Callable[[Tensor], Any]
    environment: dict[str, str] = field(default_factory=dict)
    compiled: bool = False
    checked: bool = True


@dataclass(frozen=True)
class Parameters:
    """What a case needs besides features: random, of the features' type, the same at every run."""

    query: Tensor
    tail: Tail
    gradients: Outputs

    @staticmethod
    def of(case: Case, device: str) -> Parameters:
        """Draw the parameters of a case."""
        generator = torch.Generator().manual_seed(case.batch)
        regions, channels, width = GRID * GRID, case.channels, TAIL_WIDTH

        def draw(*shape: int, scale: float = 1.0) -> Tensor:
            return (torch.randn(shape, generator=generator) * scale).to(device, case.torch_dtype)

        def weight() -> Tensor:
            return draw(width, channels, scale=1 / math.sqrt(channels))

        tail = Tail(draw(regions, channels), weight(), weight(), weight(), draw(width), draw(width))
        query = draw(regions, HEADS, channels).requires_grad_(case.backward)
        gradients = (draw(case.batch, regions, HEADS, channels), draw(case.batch, regions, channels))
        return Parameters(query, tail, gradients)


def rivals(case: Case, parameters: Parameters, features: Tensor) -> list[Rival]:
    """Return the fused op, every rival and the yardsticks of a case; ``features`` is one of its inputs.

    "eager" is the matmul form without a compiler: what one would write. The broadcast form without a
    compiler is not among the rivals: it took two to four times as long.
    """
    cuda = features.is_cuda
    mask = region_mask(features, GRID, HEADS)
    forms: dict[str, Pooling] = {
        EAGER: matmul_form,
        COMPILED[0]: matmul_form,
        COMPILED[1]: broadcast_form,
        MASKED: partial(masked_attention, mask=mask),
    }
    found = [Rival(FUSED, _call(fused_operator(case), case, parameters))]
    for name, form in forms.items():
        function: Callable[..., Outputs] = with_tail(form) if case.tail else form
        compiled = name in COMPILED
        if compiled:
            # The CUDA graphs are this benchmark's own, for every rival alike.
            mode = "max-autotune-no-cudagraphs" if cuda else None
            function = torch.compile(function, dynamic=False, fullgraph=True, mode=mode)
        found.append(Rival(name, _call(function, case, parameters), compiled=compiled))
    found.append(Rival(READ, lambda features: features.detach().sum(), checked=False))
    return found + (_cuda_only(case, found[0]) if cuda else [])


def compiled_kernel(device: str) -> str:
    """Return the name of the compiled kernel that the op runs on.

    Raises:
        UnavailableError: it runs on the plain torch reference, which would be compared with itself.
    """
    load_kernels(device)  # builds what is not there
    found = implementation(device)
    if found.kind != "compiled":
        raise UnavailableError(
            f"the op runs on the plain torch reference for {device} here, and would be compared with itself: "
            f"{found.reason}"
        )
    return found.target or "unknown"


def fused_operator(case: Case) -> Callable[..., Outputs]:
    """Return the op that a case measures."""
    namespace = torch.ops.lnlattennet
    operator: Callable[..., Outputs] = (
        namespace.local_nonlocal_attention if case.tail else namespace.region_attention
    )
    return operator


def expected_outputs(case: Case, parameters: Parameters, features: Tensor) -> Outputs:
    """Return what every rival must give: the plain torch form in float64 on the same numbers."""
    exact = Parameters(
        parameters.query.detach().double().requires_grad_(case.backward),
        Tail(*(tensor.double() for tensor in parameters.tail)),
        tuple(tensor.double() for tensor in parameters.gradients),
    )
    form: Callable[..., Outputs] = with_tail(matmul_form) if case.tail else matmul_form
    return _call(form, case, exact)(features.detach().double().requires_grad_(case.backward))


def largest_error(outputs: Outputs, expected: Outputs) -> float:
    """Return the largest relative error of the outputs by the Euclidean norm; NaN stays NaN."""
    errors = [
        torch.linalg.vector_norm(out.double() - exact) / torch.linalg.vector_norm(exact)
        for out, exact in zip(outputs, expected, strict=True)
    ]
    return torch.stack(errors).max().item()


def first_call(rival: Rival, features: Tensor) -> float:
    """Call a rival for the first time; return the seconds, which are its compile time if it compiles."""
    start = time.perf_counter()
    rival.call(features)
    return time.perf_counter() - start


def _call(
    function: Callable[..., Outputs], case: Case, parameters: Parameters
) -> Callable[[Tensor], Outputs]:
    query, extra = parameters.query, parameters.tail if case.tail else ()

    def forward(features: Tensor) -> Outputs:
        return function(features, query, GRID, *extra)

    def forward_and_backward(features: Tensor) -> Outputs:
        outputs = function(features, query, GRID)
        return torch.autograd.grad(outputs, (features, query), parameters.gradients)

    return forward_and_backward if case.backward else forward


def _cuda_only(case: Case, fused: Rival) -> list[Rival]:
    one = torch.ones(1, device="cuda")
    found = [Rival(ONE_ELEMENT, lambda _: one.add_(1), checked=False)]
    if not case.backward:
        for variant in CUDA_VARIANTS:
            found.append(Rival(f"{FUSED}, {variant}", fused.call, {VARIANT_VARIABLE: variant}))
    return found
