"""What is measured of a machine: memory, caches and products, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx

from lnlattennet.benchmarks.harness._hardware import last_level_cache
from lnlattennet.benchmarks.limits._calls import Call, copy, onnx_chain, read, torch_product
from lnlattennet.benchmarks.limits._entries import Layer, Limit
from lnlattennet.benchmarks.limits._layers import dominant_convolution
from lnlattennet.benchmarks.limits._models import MATRIX, convolutions, matrix_product, onnx_model
from lnlattennet.bundle._engine import why_not_here
from lnlattennet.machine._hardware import cpu_flags

_USUAL_CACHE = 2**25
_BEYOND_CACHE = 8
"""Size of the arrays in memory over that of the last-level cache."""
_IN_CACHE = 1 / 4
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
_ONNX_PRODUCTS = (("openvino", "fp32"), ("openvino", "int8"), ("onnxruntime", "int8"))


Candidates = dict[Limit, tuple[str, Sequence[Any]]]


def machine_limits(layers: list[Layer], threads: int, folder: Path) -> Candidates:
    """Return the candidates of ``time_in_turns``, on one thread and on ``threads``.

    Args:
        layers: the network, for its dominant convolution.
        threads: the larger number of threads.
        folder: gets the models that runtimes load.
    """
    matrix = matrix_product()
    models = {"matrix product": matrix, "convolution": convolutions(dominant_convolution(layers))}
    found: Candidates = {}
    for count in sorted({1, threads}):
        found.update(_bandwidths(count))
        for precision in ["fp32", *(["bf16"] if cpu_flags() & _BFLOAT16 else [])]:
            limit = Limit(f"{precision} matrix product, torch", precision, count, matrix.flops)
            found[limit] = _function(torch_product, MATRIX, precision, count)
        for name, chain in models.items():
            for backend, precision in _ONNX_PRODUCTS:
                if why_not_here(backend) is None:
                    path = folder / f"{name}-{precision}.onnx"
                    onnx.save_model(onnx_model(chain, precision), path)
                    limit = Limit(f"{precision} {name}, {backend}", precision, count, chain.flops)
                    found[limit] = _function(onnx_chain, backend, str(path), chain.input_shape, count)
    return found


def _bandwidths(threads: int) -> Iterator[tuple[Limit, tuple[str, Sequence[Any]]]]:
    cache = last_level_cache() or _USUAL_CACHE
    for kind, size in (("memory", cache * _BEYOND_CACHE), ("cache", int(cache * _IN_CACHE))):
        for action, call in (("read", read), ("copy", copy)):
            # Copied are half as many bytes, each read and written.
            yield Limit(f"{kind} {action}", kind, threads, size), _function(call, size, threads)


def _function(call: Callable[..., Call], *arguments: Any) -> tuple[str, Sequence[Any]]:
    return f"{call.__module__}:{call.__name__}", arguments
