"""Calls that are timed, each made in a process that imports only what its own call needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

Call = Callable[[object], object]


def read(size: int, threads: int) -> Call:
    """Sum an array of ``size`` bytes."""
    import torch

    torch.set_num_threads(threads)
    source = torch.ones(size // 4)
    return lambda _: source.sum()


def copy(size: int, threads: int) -> Call:
    """Copy one half of ``size`` bytes to the other."""
    import torch

    torch.set_num_threads(threads)
    source, target = torch.ones(2, size // 8)
    return lambda _: target.copy_(source)


def torch_product(rows: int, precision: str, threads: int) -> Call:
    """Multiply two square matrices."""
    import torch

    torch.set_num_threads(threads)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    left, right = torch.randn(2, rows, rows).to(dtype)
    return lambda _: left @ right


def onnx_chain(backend: str, model: str, shape: Sequence[int], threads: int) -> Call:
    """Run a model as an engine of this backend is run."""
    from lnlattennet.model._io_spec import INPUT_NAME
    from lnlattennet.runtimes._registry import backend_named

    runner = backend_named(backend).load(Path(model), threads)
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    return lambda _: runner({INPUT_NAME: images})
