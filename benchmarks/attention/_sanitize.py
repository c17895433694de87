"""Program for compute-sanitizer: every CUDA kernel, once or more, on small problems."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from lnlattennet.benchmarks.attention._candidates import CUDA_VARIANTS, VARIANT_VARIABLE, Parameters
from lnlattennet.benchmarks.attention._cases import GRID, Case, make_pool, views_of
from lnlattennet.benchmarks.harness._command import main, say
from lnlattennet.kernels._loader import compiled_target

# Channels that are no multiple of 8 take the element-wise paths, the others the 16-byte ones.
CASES = (
    Case(3, 64, 16, "float16"),
    Case(2, 7, 12, "float32"),
    Case(2, 8, 16, "bfloat16", layout="contiguous"),
    Case(1, 5, 20, "float16", layout="contiguous"),
)


def run() -> int:
    """Call the ops on every case in every variant; print the error of a variant that cannot run here."""
    compiled_target("cuda")
    for case in CASES:
        for variant in ("automatic", *CUDA_VARIANTS):
            os.environ[VARIANT_VARIABLE] = variant
            try:
                outputs = _forward_and_backward(case)
                outcome = "finite" if all(tensor.isfinite().all() for tensor in outputs) else "NOT FINITE"
            except RuntimeError as error:
                outcome = str(error).partition("\n")[0]
                if variant == "automatic":
                    raise
            # An error of the GPU itself stays, and is raised here.
            torch.cuda.synchronize()
            say(f"{case.name}, {variant}: {outcome}")
    return 0


def _forward_and_backward(case: Case) -> tuple[Tensor, ...]:
    parameters, ops = Parameters.of(case, "cuda"), torch.ops.lnlattennet
    [features] = views_of(make_pool(case.elements, case.torch_dtype, "cuda"), case, 1)
    leaves = features.detach().requires_grad_(), parameters.query.detach().requires_grad_()
    pooled, mean = ops.region_attention(*leaves, GRID)
    gradients = torch.autograd.grad((pooled, mean), leaves, parameters.gradients)
    with torch.inference_mode():
        joint = ops.local_nonlocal_attention(features, parameters.query, GRID, *parameters.nonlocal_attention)
        alone = ops.nonlocal_attention(mean, *parameters.nonlocal_attention)
    return (pooled, mean, *gradients, *joint, *alone)


if __name__ == "__main__":
    main(run)
