"""The per-region attention in plain torch operations: what every fused kernel must equal.

Eager torch, torch.export and ONNX all take it as it stands: only reshapes, a batched matmul, softmax.
"""

from __future__ import annotations

import math

from torch import Tensor


def split_regions(features: Tensor, grid: int) -> Tensor:
    """Cut [B, C, H, W] into a grid x grid table of regions: [B, K, C, P], regions and positions row-major."""
    channels, height, width = features.shape[1:]
    rows, columns = height // grid, width // grid
    cells = features.reshape(-1, channels, grid, rows, grid, columns)
    # (B, C, g, h, g, w) -> (B, g, g, C, h, w)
    return cells.permute(0, 2, 4, 1, 3, 5).reshape(-1, grid * grid, channels, rows * columns)


def region_attention(features: Tensor, query: Tensor, grid: int) -> tuple[Tensor, Tensor]:
    """Pool every region of a feature map by its own attention, and by its mean.

    Args:
        features: F [B, C, H, W]; H and W divisible by ``grid``.
        query: q [K, heads, C], K = grid * grid.
        grid: regions per side.

    Returns:
        ``pooled`` [B, K, heads, C] = sum_p softmax_p(<q, F_p> / sqrt(C)) F_p, and ``mean`` [B, K, C].

    Raises:
        ValueError: the shapes do not fit.
    """
    _check_shapes(features, query, grid)
    regions = split_regions(features, grid)  # (B, K, C, P)
    scores = query @ regions / math.sqrt(features.shape[1])  # (B, K, heads, P)
    pooled = scores.softmax(dim=-1) @ regions.transpose(-1, -2)
    return pooled, regions.mean(dim=-1)


def _check_shapes(features: Tensor, query: Tensor, grid: int) -> None:
    if features.dim() != 4:
        raise ValueError(f"features must be [B, C, H, W], got {list(features.shape)}")
    channels, height, width = features.shape[1:]
    if height % grid or width % grid:
        raise ValueError(f"features of {height}x{width} positions cannot be cut into a {grid}x{grid} grid")
    if query.dim() != 3 or query.shape[0] != grid * grid or query.shape[2] != channels:
        raise ValueError(f"query must be [{grid * grid}, heads, {channels}], got {list(query.shape)}")
