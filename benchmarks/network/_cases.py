"""Benchmark cases of the whole network: random weights, inputs and reference outputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._full_float32 import full_float32
from lnlattennet.model._network import LNLAttenNet

_PRECISIONS = {"cuda": ("fp16", "bf16"), "cpu": ("fp32", "bf16")}
_BATCHES = {"cuda": (1, 8, 64), "cpu": (1, 8)}
LARGEST_BATCH = 64

TOLERANCES = {"fp32": 1e-4, "fp16": 1e-2, "bf16": 4e-2}
"""Largest |out - expected| / |expected| (Euclidean norms) of any output, against the float32 network.

On a CPU torch showed up to 8e-4 in fp16 and 9e-3 in bf16; a faster sum may round more. A network that took
one image or region for another would be off by 0.16 or more.
"""


@dataclass(frozen=True)
class NetworkCase:
    """The network in one precision on one batch.

    Attributes:
        precision: "fp32", "fp16" or "bf16"; images and outputs are float32 whatever it is.
        batch: images.
    """

    precision: str
    batch: int

    @property
    def name(self) -> str:
        """Name in ``--case`` and in records."""
        return f"{self.precision}/b{self.batch}"


def network_cases(device: str) -> list[NetworkCase]:
    """Return every case of a device; those of one precision side by side, as they share what is compiled."""
    return [NetworkCase(precision, batch) for precision in _PRECISIONS[device] for batch in _BATCHES[device]]


def random_network(config: NetworkConfig, device: str) -> LNLAttenNet:
    """Return a float32 network in evaluation mode, the same at every run.

    Its batch norms have seen images, and positions and scores are larger than at the start of a training:
    otherwise the regions would be so alike that wrong region weights were within any tolerance.
    """
    torch.manual_seed(0)
    network = LNLAttenNet(config).to(device).train()
    with torch.no_grad():
        network.nonlocal_attention.position.mul_(50)
        network.nonlocal_attention.score.weight.mul_(20)
        for seed in range(3):
            network(images(config, 8, device, seed))
    return network.requires_grad_(False).eval()


def images(config: NetworkConfig, batch: int, device: str, seed: int = 0) -> Tensor:
    """Return images [batch, 3, S, S], float32, the same on every device: coarse blotches with fine noise.

    The network would give the same answer for any noise that is fine alone.
    """
    generator, size = torch.Generator().manual_seed(seed), config.image_size
    blotches = torch.randn(batch, 3, 6, 6, generator=generator)
    noise = torch.randn(batch, 3, size, size, generator=generator)
    return (F.interpolate(blotches, size=size, mode="bilinear") + 0.3 * noise).to(device)


def expected_outputs(network: LNLAttenNet, image: Tensor) -> tuple[Tensor, ...]:
    """Return the reference outputs: those of the float32 network, without a compiler and without TF32."""
    with torch.no_grad(), full_float32():
        return tuple(network(image))
