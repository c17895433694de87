"""Cases of the attention benchmark: shapes, types and layouts, and the inputs of each."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

GRID = 4
HEADS = 1
AFFINITY_FEATURES = 32
"""The network's default sizes."""

SHAPES = ((64, 56), (256, 28))
"""(channels, side of the map): the default network's map, and a deeper, smaller one of as many elements."""

FEWEST_MAPS = 3
LARGEST_ROTATION = 2**30
"""Bytes: a server's cache may exceed the memory that a benchmark should take."""


@dataclass(frozen=True)
class Case:
    """One problem, F [batch, channels, side, side], for all candidates."""

    batch: int
    channels: int = 64
    side: int = 56
    dtype: str = "float32"  # or "float16", "bfloat16"
    layout: str = "channels_last"  # or "contiguous"
    backward: bool = False  # with the gradients of features and query
    nonlocal_attention: bool = False  # with the non-local attention over the regions

    @property
    def name(self) -> str:
        """Name in ``--case`` and in records."""
        work = "attention" + "+nonlocal" * self.nonlocal_attention + "+backward" * self.backward
        return f"{work}/{self.dtype}/{self.layout}/c{self.channels}x{self.side}/b{self.batch}"

    @property
    def torch_dtype(self) -> torch.dtype:
        """The features' type."""
        dtype: torch.dtype = getattr(torch, self.dtype)
        return dtype

    @property
    def elements(self) -> int:
        """Elements of F."""
        return self.batch * self.channels * self.side * self.side

    @property
    def feature_bytes(self) -> int:
        """Bytes of F."""
        return self.elements * self.torch_dtype.itemsize

    @property
    def traffic_bytes(self) -> int:
        """Return the fewest bytes that must move: F read, pooled and mean written.

        With the backward pass F is read again, the outputs' gradients are read, and F's is written. Query
        and parameters are a few KB and left out.
        """
        outputs = self.batch * GRID * GRID * (HEADS + 1) * self.channels * self.torch_dtype.itemsize
        return 3 * self.feature_bytes + 2 * outputs if self.backward else self.feature_bytes + outputs


def cpu_cases() -> list[Case]:
    """Return every CPU case, those that the requirements name first."""
    required = [Case(batch) for batch in (8, 64)]
    required += [Case(batch, layout="contiguous") for batch in (8, 64)]
    required += [Case(batch, backward=True) for batch in (8, 64)]
    others = [Case(batch, nonlocal_attention=True) for batch in (8, 64)]
    others += [Case(batch) for batch in (1, 32)]
    others += [Case(batch, 256, 28) for batch in (1, 8, 32, 64)]
    others += [Case(batch, dtype="bfloat16") for batch in (1, 8, 32, 64)]
    others += [Case(batch, 256, 28, "bfloat16") for batch in (8, 64)]
    others += [Case(batch, 256, 28, layout="contiguous") for batch in (8, 64)]
    others += [Case(batch, layout="contiguous", backward=True) for batch in (8, 64)]
    others += [Case(batch, dtype="bfloat16", backward=True) for batch in (8, 64)]
    return required + others


def cuda_cases() -> list[Case]:
    """Return every CUDA case, those that the requirements name first."""
    batches = (256, 1, 8, 32)
    required = [Case(batch, *shape, "float16") for batch, shape in itertools.product(batches, SHAPES)]
    required.insert(4, Case(1, dtype="float16", nonlocal_attention=True))
    others = [Case(256, dtype="float16", nonlocal_attention=True)]
    others += [Case(batch, dtype="float16", layout="contiguous") for batch in (256, 1)]
    others += [Case(batch, dtype="float16", backward=True) for batch in (256, 8)]
    others += [Case(batch, 256, 28, "float16", backward=True) for batch in (256,)]
    others += [Case(batch) for batch in (256, 1)]
    return required + others


def rotation_length(case: Case, cache_bytes: int) -> int:
    """Return how many maps to take turns with, so that none is still in the cache on its next turn."""
    return max(FEWEST_MAPS, math.ceil(min(2 * cache_bytes, LARGEST_ROTATION) / case.feature_bytes))


def views_of(pool: Tensor, case: Case, count: int) -> list[Tensor]:
    """Return the features of a case: ``count`` maps that lie one after the other in a flat pool."""
    maps = pool[: count * case.elements]
    if case.layout == "contiguous":
        views = maps.view(count, case.batch, case.channels, case.side, case.side)
    else:
        views = maps.view(count, case.batch, case.side, case.side, case.channels).permute(0, 1, 4, 2, 3)
    return [view.requires_grad_(case.backward) for view in views.detach().unbind(0)]


def make_pool(count: int, dtype: torch.dtype, device: str) -> Tensor:
    """Return ``count`` normal random numbers, the same in every run: a block of a few million, repeated."""
    # Of some numbers plain bfloat16 is 3% off, which would refuse one run of many.
    generator = torch.Generator().manual_seed(0)
    # Odd, so that two maps of the pool never hold the same numbers in the same places.
    block = torch.randn(min(count, 2**22 - 3), generator=generator).to(dtype).to(device)
    return block.repeat(math.ceil(count / len(block)))[:count]
