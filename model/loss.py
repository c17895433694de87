"""The joint loss that makes crucial regions light up."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lnlattennet.model.config import NetworkConfig
from lnlattennet.model.network import JointOutputs


def joint_loss(joint: JointOutputs, target: Tensor, config: NetworkConfig) -> Tensor:
    """Return CE(logits) + lambda_local * sum_k w_k CE(y_k) + lambda_nonlocal * CE(y_n), mean over the batch.

    The middle term moves weight to the regions whose own network can tell the expression.

    Args:
        joint: what ``LNLAttenNet.joint`` gave.
        target: class indices [B], int64.
        config: carries the two lambdas.
    """
    outputs, local_logits, nonlocal_logits = joint
    regions = local_logits.shape[1]
    votes = F.cross_entropy(
        local_logits.flatten(0, 1), target.repeat_interleave(regions), reduction="none"
    ).view(-1, regions)
    local = (outputs.region_weights * votes).sum(dim=1).mean()
    loss = F.cross_entropy(outputs.logits, target) + config.lambda_local * local
    return torch.add(loss, F.cross_entropy(nonlocal_logits, target), alpha=config.lambda_nonlocal)
