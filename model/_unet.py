"""U-Net: features with the context of deep levels and the detail of shallow ones.

Source: Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015; here with batch norm, a strided stem, and
nearest-neighbor upsampling, which every runtime executes alike.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lnlattennet.model._config import NetworkConfig


def conv_block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Return 3x3 convolution, batch norm and ReLU: [B, inputs, H, W] -> [B, outputs, H/stride, W/stride]."""
    # Batch norm adds the bias; a second one would never receive a gradient of its own.
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class UNet(nn.Module):
    """Image [B, 3, S, S] -> features [B, C, S / out_stride, S / out_stride]."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        widths = config.widths
        self.stem = _stem(widths[0], config.out_stride)
        self.down = nn.ModuleList(
            nn.Sequential(conv_block(fine, coarse, stride=2), conv_block(coarse, coarse))
            for fine, coarse in pairwise(widths)
        )
        self.up = nn.ModuleList(
            nn.Sequential(conv_block(coarse + fine, fine), conv_block(fine, fine))
            for fine, coarse in pairwise(widths)
        )
        self.project = nn.Conv2d(widths[0], config.channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the features F."""
        levels = [self.stem(image)]
        for down in self.down:
            levels.append(down(levels[-1]))
        features = levels.pop()
        for up in reversed(self.up):
            features = F.interpolate(features, scale_factor=2.0, mode="nearest")
            features = up(torch.cat([features, levels.pop()], dim=1))
        return cast(Tensor, self.project(features))


def _stem(width: int, out_stride: int) -> nn.Sequential:
    """Reach the feature map's resolution by as many strided blocks as out_stride has factors of two."""
    halvings = out_stride.bit_length() - 1
    blocks = [conv_block(3 if i == 0 else width, width, stride=2) for i in range(halvings)]
    blocks.append(conv_block(width if halvings else 3, width))
    return nn.Sequential(*blocks)
