"""Cases that the ops are tested with: shapes, types and layouts, and the tensors of a case."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import NamedTuple

import torch
from torch import Tensor

from tests.kernels.support.layouts import CHANNELS_LAST, CONTIGUOUS, LAYOUTS, Layout, place

# (features, parameters): the parameters have the features' type or, as under autocast, float32.
DTYPES = [
    (torch.float32, torch.float32),
    (torch.float64, torch.float64),
    (torch.float16, torch.float16),
    (torch.bfloat16, torch.bfloat16),
    (torch.float16, torch.float32),
    (torch.bfloat16, torch.float32),
    (torch.float64, torch.float32),
]
# The non-local attention of float64 means with float32 parameters would have to be computed in two types.
NONLOCAL_DTYPES = DTYPES[:-1]


class Shape(NamedTuple):
    """``rows`` x ``columns`` positions in each of ``grid`` x ``grid`` regions; ``width`` is d."""

    batch: int
    grid: int
    heads: int
    channels: int
    rows: int
    columns: int
    width: int = 5


# The model's two shapes, then every edge: no image, one region, P = 1, odd channels, one or two more than
# a vector or a tile, rows and columns of 1, cells of every residue.
SHAPES = [
    Shape(2, 4, 1, 64, 14, 14, width=16),
    Shape(1, 4, 2, 128, 7, 7, width=32),
    Shape(0, 2, 1, 5, 3, 3),
    Shape(3, 1, 1, 1, 1, 1, width=1),
    Shape(2, 1, 3, 17, 5, 9),
    Shape(2, 3, 1, 33, 1, 1),
    Shape(5, 2, 4, 3, 1, 8),
    Shape(1, 5, 2, 31, 3, 1),
    Shape(3, 2, 1, 65, 2, 15, width=33),
    Shape(2, 2, 2, 130, 4, 3, width=17),
    Shape(1, 3, 4, 7, 11, 13),
    Shape(4, 4, 1, 16, 1, 2, width=8),
    Shape(1, 1, 1, 2, 15, 15),
]


@dataclass(frozen=True)
class Case:
    """One problem; ``sharpness`` scales the queries: 0 is uniform attention, 4 looks at few positions."""

    shape: Shape
    features: torch.dtype = torch.float32
    parameters: torch.dtype = torch.float32
    layout: Layout = CONTIGUOUS
    sharpness: float = 1.0
    seed: int = 0

    def __str__(self) -> str:
        types = f"{self.features}-{self.parameters}".replace("torch.", "")
        return f"{'x'.join(map(str, self.shape))}-{types}-{self.layout}"


def _fixed_cases() -> list[Case]:
    shapes, sharpness = cycle(SHAPES), cycle([1.0, 4.0, 0.0])
    cases = [
        Case(next(shapes), *dtypes, layout, next(sharpness), seed=len(SHAPES) * number)
        for number, layout in enumerate(LAYOUTS)
        for dtypes in DTYPES
    ]
    cases += [Case(shape, layout=layout) for shape in SHAPES for layout in (CONTIGUOUS, CHANNELS_LAST)]
    return cases


# Every layout with every type, every shape with the two dense layouts.
FIXED_CASES = _fixed_cases()
# For where each case is expensive: every shape and every type, and layouts as they come.
FEW_CASES = [
    Case(shape, *dtypes, layout, seed=7)
    for shape, dtypes, layout in zip(SHAPES * 2, cycle(DTYPES), cycle(LAYOUTS), strict=False)
]


class Inputs(NamedTuple):
    """The arguments of ``region_attention``, and the buffers that they are views of."""

    features: Tensor
    query: Tensor
    grid: int
    buffers: tuple[Tensor, ...]


def normal(seed: int, *shape: int) -> Tensor:
    """Normally distributed float64, the same on every device."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sliced(values: Tensor) -> tuple[Tensor, Tensor]:
    """``values`` as a view of a larger buffer of NaN, rows two elements apart; and the buffer."""
    buffer = torch.full(
        (*values.shape[:-1], values.shape[-1] + 2), float("nan"), dtype=values.dtype, device=values.device
    )
    view = buffer[..., 1:-1]
    return view.copy_(values), buffer


def make_inputs(case: Case, device: str) -> Inputs:
    """The tensors of a case: features in its layout, the query in a slice if its seed is odd."""
    shape = case.shape
    height, width = shape.grid * shape.rows, shape.grid * shape.columns
    values = normal(case.seed, shape.batch, shape.channels, height, width) + 0.3
    features, buffer = place(values.to(device, case.features), case.layout)
    query = normal(case.seed + 1, shape.grid**2, shape.heads, shape.channels) * case.sharpness
    query = query.to(device, case.parameters)
    query, query_buffer = sliced(query) if case.seed % 2 else (query, query)
    return Inputs(features, query, shape.grid, (buffer, query_buffer))


def make_mean(case: Case, device: str) -> Tensor:
    """Region means m [B, K, C] of the features' type."""
    shape = case.shape
    return normal(case.seed + 2, shape.batch, shape.grid**2, shape.channels).to(device, case.features)


def make_parameters(case: Case, device: str) -> list[Tensor]:
    """The learned tensors of ``nonlocal_attention`` in the order of its schema."""
    shape = case.shape
    weight = (shape.width, shape.channels)
    shapes = [(shape.grid**2, shape.channels), weight, weight, weight, (shape.width,), (shape.width,)]
    # Products of C terms stay near 1, so that the affinity is neither uniform nor one-hot.
    scales = [0.5, *[shape.channels**-0.5] * 3, 0.5, 1.0]
    drawn = [normal(case.seed + 3 + number, *size) for number, size in enumerate(shapes)]
    return [(value * scale).to(device, case.parameters) for value, scale in zip(drawn, scales, strict=True)]
