"""Readings of the network: one number per region of a face, for how much the prediction rests on it.

Sources: Selvaraju et al., "Grad-CAM", ICCV 2017; Abnar, Zuidema, "Quantifying Attention Flow in
Transformers", ACL 2020 (rollout).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from lnlattennet.kernels._reference import split_regions
from lnlattennet.model._local_nonlocal_attention import NonlocalOutputs
from lnlattennet.model._network import LNLAttenNet, Outputs

WEIGHT, CONTRIBUTION, GRAD_CAM, ROLLOUT = "region weight", "contribution", "Grad-CAM", "attention rollout"
SINGLE_DROP, RANDOM = "single-region drop", "random order"


@dataclass(frozen=True)
class Pass:
    """Tensors of one pass.

    Attributes:
        outputs: the network's outputs.
        features: of the U-Net, [B, C, H, W].
        expected: weights of the regions from the whole face alone, [B, K].
        fused: the fusion's input [B, K * D + d].
    """

    outputs: Outputs
    features: Tensor
    expected: Tensor
    fused: Tensor


def read_regions(network: LNLAttenNet, images: Tensor, columns: Tensor) -> dict[str, Tensor]:
    """Return name to scores [B, K] of every reading that needs no covered face.

    Args:
        network: network in evaluation mode.
        images: its input [B, 3, S, S].
        columns: indices of the evaluated classes among its logits; the prediction is one of them.
    """
    with torch.enable_grad():
        forward = forward_with_parts(network, images)
        logits = forward.outputs.logits[:, columns]
        predicted = logits.argmax(dim=1, keepdim=True)
        gradient = torch.autograd.grad(logits.gather(1, predicted).sum(), forward.features)[0]
    with torch.no_grad():
        parts = contributions(network, forward)[:, :, columns]
        # Softmax ignores what all logits share.
        parts = parts - parts.mean(dim=2, keepdim=True)
        return {
            WEIGHT: forward.outputs.region_weights.detach(),
            CONTRIBUTION: parts.gather(2, predicted.unsqueeze(1).expand(-1, parts.shape[1], 1)).squeeze(2),
            GRAD_CAM: grad_cam(forward.features, gradient, network.config.grid),
            ROLLOUT: rollout(forward.outputs.region_affinity),
        }


def contributions(network: LNLAttenNet, forward: Pass) -> Tensor:
    """Split the logits into one term per region, [B, K, classes]; with the bias they sum to the logits.

    The fusion is linear in ``z`` and in the context, and the context is linear in the regions' values:
    ``sum_k w_k c_k = sum_j (sum_k w_k A[k, j]) value_j``, with the weights from the whole face. A region's
    term is the logits' share of its ``z`` and of its value.

    Args:
        network: the network.
        forward: its pass over B faces.
    """
    config, attention, weight = network.config, network.nonlocal_attention, network.fusion.weight
    local = config.regions * config.local_features
    fed_back = forward.fused[:, :local].view(-1, config.regions, config.local_features)
    weight_of_local = weight[:, :local].view(-1, config.regions, config.local_features)
    mean = split_regions(forward.features, config.grid).mean(dim=-1)
    values: Tensor = attention.value(mean + attention.position) @ weight[:, local:].T
    spread = forward.expected.unsqueeze(1) @ forward.outputs.region_affinity  # (B, 1, K)
    return torch.einsum("bkd,ckd->bkc", fed_back, weight_of_local) + spread.mT * values


def grad_cam(features: Tensor, gradient: Tensor, grid: int) -> Tensor:
    """Return Grad-CAM averaged per region, [B, K].

    Args:
        features: the last feature map [B, C, H, W].
        gradient: gradient of the predicted class's logit with respect to it.
        grid: regions per side.
    """
    importance = gradient.mean(dim=(2, 3), keepdim=True)
    heat = (importance * features).sum(dim=1, keepdim=True).relu()
    return split_regions(heat, grid).mean(dim=(2, 3))


def rollout(affinity: Tensor) -> Tensor:
    """Return attention rollout of the one attention layer, A [B, K, K] with the residual: [B, K].

    Rollout adds the residual connection as half an identity. A transformer would read the row of its class
    token; here no region has that part, so the rows are averaged.
    """
    residual = torch.eye(affinity.shape[1], device=affinity.device)
    return (0.5 * affinity + 0.5 * residual).mean(dim=1)


def forward_with_parts(network: LNLAttenNet, images: Tensor) -> Pass:
    """Run the network on images [B, 3, S, S]; gradients go back to the features of its U-Net."""
    kept: dict[str, Tensor] = {}

    def keep_features(module: object, inputs: object, output: Tensor) -> Tensor:
        kept["features"] = output.detach().requires_grad_()
        return kept["features"]

    def keep_expected(module: object, inputs: object, output: tuple[Tensor, NonlocalOutputs]) -> None:
        kept["expected"] = output[1].weights.detach()

    def keep_fused(module: object, inputs: tuple[Tensor]) -> None:
        kept["fused"] = inputs[0].detach()

    handles = (
        network.unet.register_forward_hook(keep_features),
        network.nonlocal_attention.register_forward_hook(keep_expected),
        network.fusion.register_forward_pre_hook(keep_fused),
    )
    try:
        outputs = cast(Outputs, network(images))
    finally:
        for handle in handles:
            handle.remove()
    return Pass(outputs, kept["features"], kept["expected"], kept["fused"])
