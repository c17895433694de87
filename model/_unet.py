"""U-Net: features with the context of deep levels and the detail of shallow ones.

Sources: Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015, here with batch norm, a strided stem, and
nearest-neighbor upsampling, which every runtime executes alike; He et al., "Deep Residual Learning", CVPR
2016, and "Bag of Tricks", CVPR 2019 (figure 2c: a skip that halves averages first), for residual blocks.
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
    return nn.Sequential(*_normed_convolution(inputs, outputs, 3, stride), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a skip: [B, inputs, H, W] -> [B, outputs, H/stride, W/stride].

    It starts as its skip: the last batch norm scales by 0 until it has learned better.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        convolution, norm = _normed_convolution(outputs, outputs, 3)
        nn.init.zeros_(norm.weight)
        self.residual = nn.Sequential(conv_block(inputs, outputs, stride), convolution, norm)
        skip: list[nn.Module] = [nn.AvgPool2d(stride)] if stride > 1 else []
        self.skip = nn.Sequential(
            *skip, *(_normed_convolution(inputs, outputs, 1) if inputs != outputs else ())
        )

    def forward(self, features: Tensor) -> Tensor:
        """Add the residual to the skip."""
        return F.relu(self.skip(features) + self.residual(features))


class UNet(nn.Module):
    """Image [B, 3, S, S] -> features [B, C, S / out_stride, S / out_stride].

    The first ``local_channels`` of them come from the finest level before anything deep was joined.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        widths = config.widths
        self.local_channels = config.local_channels
        blocks = config.blocks or (0,) * len(widths)
        self.stem = _stem(widths[0], config.out_stride, blocks[0])
        self.down = nn.ModuleList(
            _down(fine, coarse, count)
            for (fine, coarse), count in zip(pairwise(widths), blocks[1:], strict=True)
        )
        self.up = nn.ModuleList(
            _up(fine, coarse, residual=bool(config.blocks)) for fine, coarse in pairwise(widths)
        )
        self.project = nn.Conv2d(widths[0], config.channels - config.local_channels, 1)
        if config.local_channels:
            self.project_local = nn.Conv2d(widths[0], config.local_channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the features F."""
        levels = [self.stem(image)]
        for down in self.down:
            levels.append(down(levels[-1]))
        finest, features = levels[0], levels.pop()
        for up in reversed(self.up):
            features = F.interpolate(features, scale_factor=2.0, mode="nearest")
            features = up(torch.cat([features, levels.pop()], dim=1))
        whole_face = cast(Tensor, self.project(features))
        if not self.local_channels:
            return whole_face
        return torch.cat([self.project_local(finest), whole_face], dim=1)


def _stem(width: int, out_stride: int, residual_blocks: int) -> nn.Sequential:
    """Reach the feature map's resolution by as many strided blocks as out_stride has factors of two."""
    halvings = out_stride.bit_length() - 1
    if residual_blocks:
        return _residual_stem(width, halvings, residual_blocks)
    blocks: list[nn.Module] = [conv_block(3 if i == 0 else width, width, stride=2) for i in range(halvings)]
    blocks.append(conv_block(width if halvings else 3, width))
    return nn.Sequential(*blocks)


def _residual_stem(width: int, halvings: int, residual_blocks: int) -> nn.Sequential:
    """Halve with half the width and a residual block at every resolution on the way, which keeps detail."""
    half = max(1, width // 2)
    blocks: list[nn.Module] = []
    inputs = 3
    for _ in range(halvings - 1):
        blocks += [conv_block(inputs, half, stride=2), ResidualBlock(half, half)]
        inputs = half
    blocks.append(conv_block(inputs, width, stride=2 if halvings else 1))
    return nn.Sequential(*blocks, *(ResidualBlock(width, width) for _ in range(residual_blocks)))


def _down(fine: int, coarse: int, residual_blocks: int) -> nn.Sequential:
    """Halve the resolution and go from the finer level's width to the coarser one's."""
    if not residual_blocks:
        return nn.Sequential(conv_block(fine, coarse, stride=2), conv_block(coarse, coarse))
    rest = (ResidualBlock(coarse, coarse) for _ in range(residual_blocks - 1))
    return nn.Sequential(ResidualBlock(fine, coarse, stride=2), *rest)


def _up(fine: int, coarse: int, *, residual: bool) -> nn.Sequential:
    """Join a level's features [B, coarse + fine, H, W]; after residual levels one convolution is enough."""
    blocks = [conv_block(coarse + fine, fine)]
    if not residual:
        blocks.append(conv_block(fine, fine))
    return nn.Sequential(*blocks)


def _normed_convolution(
    inputs: int, outputs: int, size: int, stride: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    # Batch norm adds the bias; a second one would never receive a gradient of its own.
    convolution = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution, nn.BatchNorm2d(outputs)
