"""Region weights, affinity and local attention for a batch of faces, from one forward pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lnlattennet.kernels._reference import join_regions, split_regions
from lnlattennet.model._network import LNLAttenNet, Outputs
from lnlattennet.model._preprocessing import Preprocessing

Floats = NDArray[np.float32]

_FACES_PER_PASS = 32
"""Faces that run together: enough to keep the cores busy, and 100 MB of features at the default size."""


@dataclass(frozen=True)
class Explanation:
    """Predictions for N faces, and the attention behind them.

    Attributes:
        probabilities: softmax of the logits [N, classes].
        weights: w, the share of every region in the prediction [N, K], rows sum to 1.
        affinity: A [N, K, K]; row k holds the weights of all regions around region k, rows sum to 1.
        local_attention: a [N, heads, H, W] at the feature map's resolution; sums to 1 inside every region,
            so that 1/P (P positions per region) is even attention.
    """

    probabilities: Floats
    weights: Floats
    affinity: Floats
    local_attention: Floats


def local_attention(features: Tensor, query: Tensor, grid: int) -> Tensor:
    """Return the attention of every local network: a = softmax_p(<q, F_p> / sqrt(C)).

    The network's fused op returns only the pooled features, not the attention.

    Args:
        features: F [B, C, H, W].
        query: q [K, heads, C].
        grid: regions per side, K = grid * grid.

    Returns:
        a [B, K, heads, P], positions row-major inside their region.
    """
    regions = split_regions(features.float(), grid)  # (B, K, C, P)
    return (query.float() @ regions / math.sqrt(features.shape[1])).softmax(dim=-1)


def attention_map(attention: Tensor, grid: int, size: int) -> Tensor:
    """Lay a [B, K, heads, P] out over the face: [B, heads, size, size]."""
    return join_regions(attention, grid, size, size)


def rounded(values: NDArray[np.floating[Any]]) -> list[float]:
    """Return values [K] with 6 digits, for JSON."""
    return [round(value, 6) for value in values.tolist()]


@torch.inference_mode()
def explain_faces(
    network: LNLAttenNet, preprocessing: Preprocessing, faces: NDArray[np.uint8]
) -> Explanation:
    """Run the network on faces and keep its attention.

    Args:
        network: network in evaluation mode.
        preprocessing: preprocessing of its checkpoint.
        faces: RGB uint8 [N, S, S, 3], cropped by ``preprocessing``; N of 1 or more.
    """
    passes = [
        _one_pass(network, network_input(preprocessing, faces[start : start + _FACES_PER_PASS]))
        for start in range(0, len(faces), _FACES_PER_PASS)
    ]
    return Explanation(*(np.concatenate(parts) for parts in zip(*passes, strict=True)))


def network_input(preprocessing: Preprocessing, faces: NDArray[np.uint8]) -> Tensor:
    """Normalize RGB faces uint8 [n, S, S, 3] to [n, 3, S, S], in the layout that CPUs convolve fastest."""
    return torch.from_numpy(preprocessing.normalize(faces)).contiguous(memory_format=torch.channels_last)


def _one_pass(network: LNLAttenNet, images: Tensor) -> tuple[Floats, Floats, Floats, Floats]:
    outputs, features = _outputs_and_features(network, images)
    config = network.config
    attention = local_attention(features, network.local_networks.region_query(), config.grid)
    laid_out = attention_map(attention, config.grid, config.feature_size)
    tensors = (outputs.logits.softmax(dim=1), outputs.region_weights, outputs.region_affinity, laid_out)
    probabilities, weights, affinity, maps = (tensor.float().numpy() for tensor in tensors)
    return probabilities, weights, affinity, maps


def _outputs_and_features(network: LNLAttenNet, images: Tensor) -> tuple[Outputs, Tensor]:
    """Run the network once and also return the feature map of its U-Net."""
    captured: list[Tensor] = []
    handle = network.unet.register_forward_hook(lambda module, inputs, output: captured.append(output))
    try:
        outputs: Outputs = network(images)
    finally:
        handle.remove()
    return outputs, captured[0]
