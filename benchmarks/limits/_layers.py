"""Operations and numbers moved of every layer of a network."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lnlattennet.benchmarks.limits._entries import Layer
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._network import LNLAttenNet

_UNET_LEVEL = re.compile(r"unet\.(down|up)\.(\d+)\.")
_UNET_PART = re.compile(r"unet\.(stem|project)")
_BLOCKS = {"nonlocal_attention": "attention", "local_networks": "local_networks"}


def network_layers(config: NetworkConfig) -> list[Layer]:
    """Return the layers of inference in the order in which they run; nothing is computed."""
    calls: dict[str, tuple[nn.Module, list[Tensor], list[Tensor]]] = {}

    def watch(name: str, module: nn.Module) -> None:
        def note(module: nn.Module, inputs: Any, outputs: Any) -> None:
            calls[name] = (module, list(_tensors(inputs)), list(_tensors(outputs)))

        module.register_forward_hook(note)

    with torch.device("meta"), torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network = LNLAttenNet(config).eval().requires_grad_(False)
        for name, module in network.named_modules():
            watch(name, module)
        network(torch.zeros(1, 3, config.image_size, config.image_size))
    counts = counter.get_flop_counts()
    flops = {name: sum(counts.get(f"LNLAttenNet.{name}", {}).values()) for name in calls}
    working = [name for name in calls if flops[name]]
    # A module whose parts do its work is none itself.
    innermost = [name for name in working if not any(other.startswith(f"{name}.") for other in working)]
    return [_layer(name, flops[name], *calls[name]) for name in innermost]


def dominant_convolution(layers: list[Layer]) -> Layer:
    """Return the convolution with the most operations among those that keep the resolution."""
    return max((layer for layer in layers if layer.weight_shape), key=lambda layer: layer.flops)


def _tensors(values: Any) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    return [tensor for value in values for tensor in _tensors(value)]


def _layer(name: str, flops: int, module: nn.Module, inputs: list[Tensor], outputs: list[Tensor]) -> Layer:
    keeps = isinstance(module, nn.Conv2d) and module.stride == (1, 1)
    return Layer(
        name=name,
        block=_block(name),
        flops=flops,
        weights=sum(parameter.numel() for parameter in module.parameters()),
        activations=sum(tensor.numel() for tensor in [*inputs, *outputs]),
        input_shape=tuple(inputs[0].shape[1:]) if keeps else (),
        weight_shape=tuple(next(module.parameters()).shape) if keeps else (),
    )


def _block(name: str) -> str:
    if level := _UNET_LEVEL.match(name):
        return f"unet.{level[1]}{int(level[2]) + 1}"
    if part := _UNET_PART.match(name):
        return part[0]
    return _BLOCKS.get(name.partition(".")[0], "fusion")
