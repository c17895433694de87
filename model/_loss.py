"""Joint loss of the fused, local and non-local predictions."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._network import JointOutputs


def joint_loss(
    joint: JointOutputs,
    target: Tensor,
    config: NetworkConfig,
    *,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the joint loss, mean over the batch.

        CE(logits) + lambda_local * (sum_k w_k CE(y_k) + tau KL(w, 1/K)) + lambda_nonlocal * CE(y_n)

    The middle term moves weight to the regions whose own network recognizes the expression. Without its
    second part all weight would go to the best region. With it the best weights are
    w_k = softmax_k(-CE(y_k) / tau): regions that tell as much share the weight. At tau = 1 the term is the
    variational bound on the likelihood of a mixture of the local networks (Jordan et al., "An Introduction to
    Variational Methods for Graphical Models", Machine Learning 37, 1999).

    Args:
        joint: outputs of ``LNLAttenNet.joint``.
        target: class indices [B], int64, or class probabilities [B, classes].
        config: configuration with the two lambdas.
        class_weights: [classes]; every mean over the batch is then weighted by the target's class. Of
            probabilities each class's share is weighted, and the mean is that of the faces, as in torch.
        label_smoothing: share of the target that is spread over all classes, 0 to 1.
    """
    outputs, local_logits, nonlocal_logits = joint
    weights = outputs.region_weights
    regions = local_logits.shape[1]
    cross_entropy = partial(F.cross_entropy, weight=class_weights, label_smoothing=label_smoothing)
    votes = cross_entropy(
        local_logits.flatten(0, 1), target.repeat_interleave(regions, dim=0), reduction="none"
    ).view(-1, regions)
    local = (weights * votes).sum(dim=1).mean()
    if class_weights is not None and target.dim() == 1:
        # As torch's own weighted mean: divided by the weights of the targets, not by their number.
        local = local / class_weights[target].mean()
    if config.weight_temperature:
        # The smallest normal number, as a weight may underflow to 0, whose logarithm is not finite.
        logarithms = (regions * weights).clamp_min(torch.finfo(weights.dtype).tiny).log()
        local = local + config.weight_temperature * (weights * logarithms).sum(dim=1).mean()
    loss = cross_entropy(outputs.logits, target) + config.lambda_local * local
    return torch.add(loss, cross_entropy(nonlocal_logits, target), alpha=config.lambda_nonlocal)
