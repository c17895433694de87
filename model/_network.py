"""LNLAttenNet: U-Net, local networks, non-local attention, feedback and fusion in one module."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._local_networks import LocalEvidence, LocalHeads, LocalNetworks
from lnlattennet.model._local_nonlocal_attention import LocalNonlocalAttention
from lnlattennet.model._unet import UNet


class Outputs(NamedTuple):
    """Outputs of inference.

    Attributes:
        logits: [B, classes].
        region_weights: w [B, K], sums to 1.
        region_affinity: A [B, K, K], rows sum to 1.
    """

    logits: Tensor
    region_weights: Tensor
    region_affinity: Tensor


class JointOutputs(NamedTuple):
    """Outputs of training: those of inference, and the logits that only the joint loss uses.

    Attributes:
        outputs: the inference outputs.
        local_logits: y_k [B, K, classes], one prediction per region.
        nonlocal_logits: y_n [B, classes], prediction of the non-local attention.
    """

    outputs: Outputs
    local_logits: Tensor
    nonlocal_logits: Tensor


class LNLAttenNet(nn.Module):
    """Image [B, 3, S, S] -> logits, region weights and region affinity (docs/reference/network.md)."""

    local_evidence: LocalEvidence

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.unet = UNet(config)
        self.local_networks = LocalNetworks(config)
        self.nonlocal_attention = LocalNonlocalAttention(config)
        fused = config.regions * config.local_features + config.affinity_features
        self.fusion = nn.Linear(fused, config.classes)
        self.local_heads = LocalHeads(config)
        self.nonlocal_head = nn.Linear(config.affinity_features, config.classes)
        if config.local_channels:
            self.local_evidence = LocalEvidence(config)
        with torch.no_grad():
            # Feedback scales every region by about 1/K at first; undo that, or training stalls at chance.
            self.fusion.weight[:, : config.regions * config.local_features] *= config.regions

    def forward(self, image: Tensor) -> Outputs:
        """Return the inference outputs for normalized images [B, 3, S, S]."""
        return self._parts(image)[0]

    def joint(self, image: Tensor) -> JointOutputs:
        """Return the outputs of inference and of both auxiliary heads, for the joint loss."""
        outputs, local, context = self._parts(image)
        return JointOutputs(outputs, self.local_heads(local), self.nonlocal_head(context))

    def _parts(self, image: Tensor) -> tuple[Outputs, Tensor, Tensor]:
        pooled, whole_face = self.nonlocal_attention(self.unet(image), self.local_networks.region_query())
        weights, affinity, context = whole_face
        local = self.local_networks(pooled)  # (B, K, D)
        if self.config.local_channels:
            weights = self.local_evidence(weights, local)
        logits = self.fusion(torch.cat([self.feedback(weights, local).flatten(1), context], dim=1))
        return Outputs(logits, weights, affinity), local, context

    def feedback(self, weights: Tensor, local: Tensor) -> Tensor:
        """Scale the local features u [B, K, D] by the weights of their regions: z [B, K, D]."""
        return weights.unsqueeze(-1) * local
