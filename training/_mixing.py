"""Mixup and CutMix: every face of a batch is blended with another, and so are their targets.

Sources: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018; Yun et al., "CutMix:
Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """Mixing of the batches of one epoch, the same whenever the epoch is repeated.

    Every face is mixed with the one before it in the batch, all in the same share, drawn from
    Beta(alpha, alpha). Where both kinds are on, every batch gets one of them, each as likely as the other.

    Attributes:
        mixup: alpha of mixup, the blend of all pixels; 0 for none.
        cutmix: alpha of CutMix, which pastes a box of the other face; 0 for none.
        classes: number of classes.
        seed, epoch: of the run.
    """

    mixup: float
    cutmix: float
    classes: int
    seed: int
    epoch: int

    def __call__(self, faces: Tensor, targets: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """Mix faces [B, 3, S, S] in place; return them with class probabilities [B, classes].

        Args:
            faces: the network's input.
            targets: class indices [B], or class probabilities [B, classes].
            batch: a number that no other batch of the epoch has.
        """
        # A fourth number: with three of them, these are the draws of a face's own changes. With a zero they
        # are as well, since numpy fills up with zeros.
        rng = np.random.default_rng((self.seed, self.epoch, batch, 1))
        alphas = [alpha for alpha in (self.mixup, self.cutmix) if alpha]
        kind = int(rng.integers(len(alphas)))
        share, others = float(rng.beta(alphas[kind], alphas[kind])), faces.roll(1, dims=0)
        if not self.mixup or kind:
            share = _paste(faces, others, share, rng)
        else:
            faces.lerp_(others, 1 - share)
        if targets.dim() == 1:
            targets = F.one_hot(targets, self.classes).float()
        return faces, torch.lerp(targets, targets.roll(1, dims=0), 1 - share)


def _paste(faces: Tensor, others: Tensor, share: float, rng: np.random.Generator) -> float:
    """Paste one box of ``others`` into ``faces``; return the share of each face that is left of it."""
    size = faces.shape[-1]
    half = size * math.sqrt(1 - share) / 2
    center = rng.uniform(0, size, 2)
    top, left = (center - half).round().clip(0, size).astype(int)
    bottom, right = (center + half).round().clip(0, size).astype(int)
    faces[..., top:bottom, left:right] = others[..., top:bottom, left:right]
    return 1 - float((bottom - top) * (right - left)) / size**2
