"""Attention of the network's head as fused operators for CPU and CUDA, differentiable and traceable.

Importing this registers ``torch.ops.lnlattennet.*``. The compiled kernels are loaded, and built if need be,
when an operator first runs on a device; where that cannot be done, plain torch operations run instead.
"""

from lnlattennet.kernels._ops import (
    decompositions,
    local_nonlocal_attention,
    nonlocal_attention,
    region_attention,
)

__all__ = ["decompositions", "local_nonlocal_attention", "nonlocal_attention", "region_attention"]
