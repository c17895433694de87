"""Agreement of an explanation with the values that the network computes with."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from lnlattennet.evaluation.explain._internals import attention_map, explain_faces, local_attention
from lnlattennet.kernels import region_attention
from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._preprocessing import Preprocessing

CONFIG = NetworkConfig(image_size=24, widths=(4, 6), channels=5, local_features=3, affinity_features=2)


def network_of(**changes: Any) -> LNLAttenNet:
    torch.manual_seed(1)
    return LNLAttenNet(dataclasses.replace(CONFIG, **changes)).eval()


def faces_of(count: int, size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def attention_by_loops(features: Tensor, query: Tensor, grid: int) -> NDArray[np.float64]:
    """a [B, heads, H, W], one softmax after another, in float64."""
    batch, channels, height, width = features.shape
    side_y, side_x = height // grid, width // grid
    result = np.zeros((batch, query.shape[1], height, width))
    for b, k, h in np.ndindex(batch, grid * grid, query.shape[1]):
        top, left = k // grid * side_y, k % grid * side_x
        part = features[b, :, top : top + side_y, left : left + side_x].double()
        scores = torch.einsum("c,cyx->yx", query[k, h].double(), part) / math.sqrt(channels)
        shares = scores.exp() / scores.exp().sum()
        result[b, h, top : top + side_y, left : left + side_x] = shares.numpy()
    return result


@pytest.mark.parametrize(("grid", "heads", "out_stride"), [(4, 1, 1), (2, 3, 2), (1, 2, 2), (3, 1, 4)])
def test_local_attention_is_the_softmax_inside_every_region(grid: int, heads: int, out_stride: int) -> None:
    torch.manual_seed(0)
    size = 24 // out_stride
    features, query = torch.randn(2, 5, size, size), torch.randn(grid * grid, heads, 5)
    attention = local_attention(features, query, grid)
    laid_out = attention_map(attention, grid, size)
    assert np.allclose(laid_out, attention_by_loops(features, query, grid), atol=1e-6)


@pytest.mark.parametrize("grid", [1, 2, 3, 4])
@pytest.mark.parametrize("heads", [1, 3])
def test_attention_pools_the_features_to_what_the_op_gives(grid: int, heads: int) -> None:
    """sum_p a[k,h,p] F[:,p], summed position by position over the map, equals the pooled regions."""
    torch.manual_seed(2)
    features, query = torch.randn(2, 6, 12, 12), torch.randn(grid * grid, heads, 6)
    pooled, _ = region_attention(features, query, grid)
    laid_out = attention_map(local_attention(features, query, grid), grid, 12)
    side = 12 // grid
    for k in range(grid * grid):
        part = np.s_[k // grid * side : (k // grid + 1) * side, k % grid * side : (k % grid + 1) * side]
        mine = torch.einsum("bhyx,bcyx->bhc", laid_out[:, :, *part], features[:, :, *part])
        assert torch.allclose(mine, pooled[:, k], atol=1e-5)


@pytest.mark.parametrize(("grid", "heads", "out_stride"), [(4, 1, 2), (2, 3, 1), (1, 1, 2), (3, 2, 4)])
def test_the_local_networks_received_what_the_map_shows(grid: int, heads: int, out_stride: int) -> None:
    """The pooled regions inside the network itself, caught on their way into the local networks."""
    network = network_of(grid=grid, heads=heads, out_stride=out_stride)
    caught: dict[str, Tensor] = {}
    network.unet.register_forward_hook(lambda _, inputs, output: caught.update(features=output))
    network.local_networks.register_forward_hook(lambda _, inputs, output: caught.update(pooled=inputs[0]))
    explanation = explain_faces(network, Preprocessing(size=24), faces_of(2, 24))
    size = 24 // out_stride
    assert explanation.local_attention.shape == (2, heads, size, size)
    regions = caught["features"].reshape(2, -1, grid, size // grid, grid, size // grid)
    maps = torch.from_numpy(explanation.local_attention)
    maps = maps.reshape(2, heads, grid, size // grid, grid, size // grid)
    mine = torch.einsum("bcrysx,bhrysx->brshc", regions, maps).flatten(1, 2)
    assert torch.allclose(mine, caught["pooled"], atol=1e-5)


def test_outputs_are_the_networks_own_and_no_hook_stays() -> None:
    network, preprocessing, faces = network_of(), Preprocessing(size=24), faces_of(3, 24)
    explanation = explain_faces(network, preprocessing, faces)
    with torch.inference_mode():
        outputs = network(torch.from_numpy(preprocessing.normalize(faces)))
    assert np.allclose(explanation.weights, outputs.region_weights, atol=1e-6)
    assert np.allclose(explanation.affinity, outputs.region_affinity, atol=1e-6)
    assert np.allclose(explanation.probabilities, outputs.logits.softmax(dim=1), atol=1e-6)
    assert not network.unet._forward_hooks


def test_a_long_batch_gives_the_predictions_of_single_faces() -> None:
    network, preprocessing, faces = network_of(heads=2), Preprocessing(size=24), faces_of(35, 24)
    together = explain_faces(network, preprocessing, faces)
    assert len(together.weights) == 35
    for index in (0, 31, 32, 34):
        alone = explain_faces(network, preprocessing, faces[index : index + 1])
        assert np.allclose(together.weights[index], alone.weights[0], atol=1e-5)
        assert np.allclose(together.local_attention[index], alone.local_attention[0], atol=1e-5)


def test_the_demo_checkpoint_attends_to_one_whole_per_region(demo_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(demo_checkpoint)
    explanation = explain_faces(checkpoint.network(), checkpoint.info.preprocessing, faces_of(1, 112))
    regions = explanation.local_attention[0, 0].reshape(4, 14, 4, 14).sum(axis=(1, 3))
    assert np.allclose(regions, 1, atol=1e-4)
