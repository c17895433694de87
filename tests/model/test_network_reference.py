"""Parts of the network against plain float64 loops that follow docs/reference/network.md line by line."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._local_networks import LocalNetworks
from lnlattennet.model._local_nonlocal_attention import LocalNonlocalAttention
from lnlattennet.model._loss import joint_loss
from lnlattennet.model._network import JointOutputs, LNLAttenNet, Outputs
from lnlattennet.model._unet import ResidualBlock, UNet

Array = NDArray[np.float64]
CONFIGS = [
    NetworkConfig(image_size=16, out_stride=1, grid=2, widths=(4, 6), channels=5, heads=2, local_features=3,
                  affinity_features=4, classes=3),
    NetworkConfig(image_size=32, out_stride=2, grid=4, widths=(4,), channels=3, heads=1, local_features=2,
                  affinity_features=5, classes=7),
    NetworkConfig(image_size=24, out_stride=4, grid=1, widths=(4, 4), channels=2, heads=3, local_features=4,
                  affinity_features=1, classes=2),
    NetworkConfig(image_size=16, out_stride=4, grid=2, widths=(4, 6), blocks=(1, 2), channels=2,
                  local_features=2, affinity_features=2, classes=2),
    NetworkConfig(image_size=16, out_stride=2, grid=2, widths=(4, 6), blocks=(1, 1), channels=5, heads=2,
                  local_channels=2, local_features=3, affinity_features=4, classes=3, weight_temperature=0.3),
]  # fmt: skip


def softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum())


def values(tensor: torch.Tensor) -> Array:
    return tensor.detach().double().numpy()


def looped_attention(features: Array, query: Array, grid: int) -> tuple[Array, Array]:
    batch, channels, height, width = features.shape
    regions, heads = query.shape[:2]
    pooled = np.zeros((batch, regions, heads, channels))
    mean = np.zeros((batch, regions, channels))
    rows, columns = height // grid, width // grid
    for b in range(batch):
        for k in range(regions):
            top, left = (k // grid) * rows, (k % grid) * columns
            positions = [
                features[b, :, y, x] for y in range(top, top + rows) for x in range(left, left + columns)
            ]
            mean[b, k] = sum(positions) / len(positions)
            for h in range(heads):
                weights = softmax(np.array([query[k, h] @ p for p in positions]) / math.sqrt(channels))
                pooled[b, k, h] = sum(w * p for w, p in zip(weights, positions, strict=True))
    return pooled, mean


def looped_nonlocal(part: LocalNonlocalAttention, mean: Array) -> tuple[Array, Array, Array]:
    tokens = mean + values(part.position)
    width = part.query.out_features
    weights, affinities, contexts = [], [], []
    for sample in tokens:
        queries = [values(part.query.weight) @ token for token in sample]
        keys = [values(part.key.weight) @ token for token in sample]
        vectors = [values(part.value.weight) @ token + values(part.value.bias) for token in sample]
        affinity = np.array([softmax(np.array([q @ k for k in keys]) / math.sqrt(width)) for q in queries])
        context = np.array([sum(a * v for a, v in zip(row, vectors, strict=True)) for row in affinity])
        scores = np.array([values(part.score.weight)[0] @ np.maximum(c, 0) for c in context])
        weights.append(softmax(scores))
        affinities.append(affinity)
        contexts.append(sum(w * c for w, c in zip(weights[-1], context, strict=True)))
    return np.array(weights), np.array(affinities), np.array(contexts)


@pytest.mark.parametrize("config", CONFIGS)
def test_local_networks_equal_plain_loops(config: NetworkConfig) -> None:
    part = LocalNetworks(config)
    with torch.no_grad():
        part.bias.normal_()
    pooled = torch.randn(2, config.regions, config.heads, config.channels)
    local = part(pooled)
    for b in range(2):
        for k in range(config.regions):
            own = values(pooled[b, k, :, : config.local_channels or None])
            expected = own.reshape(-1) @ values(part.weight[k]) + values(part.bias[k])
            np.testing.assert_allclose(values(local[b, k]), np.maximum(expected, 0), atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_attention_of_both_networks_equals_plain_loops(config: NetworkConfig) -> None:
    part, local = LocalNonlocalAttention(config), LocalNetworks(config)
    features = torch.randn(3, config.channels, config.feature_size, config.feature_size)
    pooled, whole_face = part(features, local.region_query())
    expected_pooled, mean = looped_attention(values(features), values(local.region_query()), config.grid)
    np.testing.assert_allclose(values(pooled), expected_pooled, atol=1e-5)
    for found, expected in zip(whole_face, looped_nonlocal(part, mean), strict=True):
        np.testing.assert_allclose(values(found), expected, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_fusion_and_feedback_equal_plain_loops(config: NetworkConfig) -> None:
    network = LNLAttenNet(config).eval()
    image = torch.randn(2, 3, config.image_size, config.image_size)
    joint = network.joint(image)
    features = network.unet(image)
    pooled, _ = network.nonlocal_attention(features, network.local_networks.region_query())
    local = network.local_networks(pooled)
    _, mean = looped_attention(values(features), values(network.local_networks.region_query()), config.grid)
    weights, _, context = looped_nonlocal(network.nonlocal_attention, mean)
    if config.local_channels:
        with torch.no_grad():
            network.local_evidence.weight.normal_()
        joint = network.joint(image)
        evidence = (values(local) * values(network.local_evidence.weight)).sum(axis=2)
        weights = np.array([softmax(np.log(w) + e) for w, e in zip(weights, evidence, strict=True)])
    heads = values(network.local_heads.weight)
    for b in range(2):
        scaled = [weights[b, k] * values(local[b, k]) for k in range(config.regions)]
        fused = np.concatenate([*scaled, context[b]])
        logits = values(network.fusion.weight) @ fused + values(network.fusion.bias)
        np.testing.assert_allclose(values(joint.outputs.logits[b]), logits, atol=1e-5)
        votes = [values(local[b, k]) @ heads[k] for k in range(config.regions)]
        np.testing.assert_allclose(values(joint.local_logits[b]), votes, atol=1e-5)
        alone = values(network.nonlocal_head.weight) @ context[b] + values(network.nonlocal_head.bias)
        np.testing.assert_allclose(values(joint.nonlocal_logits[b]), alone, atol=1e-5)


def test_joint_loss_equals_plain_loops() -> None:
    config = NetworkConfig(
        classes=3, grid=2, image_size=16, lambda_local=0.7, lambda_nonlocal=0.3, weight_temperature=0.4
    )
    weights = torch.rand(5, 4).softmax(dim=1)
    outputs = Outputs(torch.randn(5, 3), weights, torch.rand(5, 4, 4))
    joint = JointOutputs(outputs, torch.randn(5, 4, 3), torch.randn(5, 3))
    target = torch.tensor([0, 1, 2, 1, 0])
    expected = 0.0
    for b in range(5):

        def cross_entropy(logits: torch.Tensor, label: int = int(target[b])) -> float:
            return -math.log(softmax(values(logits))[label])

        expected += cross_entropy(outputs.logits[b])
        expected += 0.7 * sum(
            float(weights[b, k]) * cross_entropy(joint.local_logits[b, k]) for k in range(4)
        )
        divergence = sum(float(w) * math.log(4 * float(w)) for w in weights[b])
        expected += 0.7 * 0.4 * divergence
        expected += 0.3 * cross_entropy(joint.nonlocal_logits[b])
    assert float(joint_loss(joint, target, config)) == pytest.approx(expected / 5, rel=1e-5)


def naive_conv(image: Array, weight: Array, bias: Array | None, stride: int, padding: int) -> Array:
    outputs, _, kernel, _ = weight.shape
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
    side = (padded.shape[1] - kernel) // stride + 1
    result = np.zeros((outputs, side, side))
    for o in range(outputs):
        for y in range(side):
            for x in range(side):
                window = padded[:, y * stride : y * stride + kernel, x * stride : x * stride + kernel]
                result[o, y, x] = (window * weight[o]).sum() + (0 if bias is None else bias[o])
    return result


def naive_block(block: torch.nn.Module, image: Array) -> Array:
    """Convolutions, batch norms with running statistics and ReLUs in order; residuals plus their skips."""
    if isinstance(block, ResidualBlock):
        return np.asarray(np.maximum(naive_block(block.residual, image) + naive_block(block.skip, image), 0))
    if isinstance(block, torch.nn.Sequential):
        for child in block:
            image = naive_block(child, image)
        return image
    if isinstance(block, torch.nn.Conv2d):
        return naive_conv(image, values(block.weight), None, block.stride[0], int(block.padding[0]))
    if isinstance(block, torch.nn.AvgPool2d):
        channels, height, width = image.shape
        return np.asarray(image.reshape(channels, height // 2, 2, width // 2, 2).mean(axis=(2, 4)))
    if isinstance(block, torch.nn.ReLU):
        return np.asarray(np.maximum(image, 0))
    assert isinstance(block, torch.nn.BatchNorm2d)
    assert block.running_mean is not None
    assert block.running_var is not None
    scale = values(block.weight) / np.sqrt(values(block.running_var) + block.eps)
    shift = values(block.bias) - values(block.running_mean) * scale
    return np.asarray(image * scale[:, None, None] + shift[:, None, None])


@pytest.mark.parametrize("config", CONFIGS)
def test_unet_equals_plain_loops(config: NetworkConfig) -> None:
    unet = UNet(config)
    for module in unet.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
            torch.nn.init.normal_(module.weight)
    unet.eval()
    image = torch.randn(1, 3, config.image_size, config.image_size)
    levels = [naive_block(unet.stem, values(image[0]))]
    for down in unet.down:
        levels.append(naive_block(down, levels[-1]))
    finest, features = levels[0], levels.pop()
    for up in reversed(list(unet.up)):
        features = features.repeat(2, axis=1).repeat(2, axis=2)
        features = naive_block(up, np.concatenate([features, levels.pop()]))
    expected = naive_conv(features, values(unet.project.weight), values(unet.project.bias), 1, 0)  # type: ignore[arg-type]
    if config.local_channels:
        own = naive_conv(finest, values(unet.project_local.weight), values(unet.project_local.bias), 1, 0)  # type: ignore[arg-type]
        expected = np.concatenate([own, expected])
    np.testing.assert_allclose(values(unet(image)[0]), expected, atol=1e-4)
