"""Parameters and floating-point operations of a network, part by part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._presets import PRESETS


def describe(checkpoint: Path | None, *, allow_pickle: bool = False) -> dict[str, Any]:
    """Describe a checkpoint, or the default network if ``checkpoint`` is None, as plain JSON values."""
    if checkpoint is None:
        config = NetworkConfig()
        return {"name": "the default network", "config": config.to_dict()} | costs(LNLAttenNet(config))
    loaded = load_checkpoint(checkpoint, allow_pickle=allow_pickle)
    return {
        "name": str(checkpoint),
        "config": loaded.info.config.to_dict(),
        "class_names": list(loaded.info.class_names),
        "preprocessing": loaded.info.preprocessing.to_dict(),
        "provenance": loaded.info.provenance,
        "licence": loaded.info.license,
    } | costs(loaded.network())


def describe_presets() -> dict[str, Any]:
    """Describe the presets: sizes, parameters and operations, as plain JSON values."""
    return {
        "presets": [
            {"name": name, "config": config.to_dict()} | costs(LNLAttenNet(config))
            for name, config in PRESETS.items()
        ]
    }


def costs(network: LNLAttenNet) -> dict[str, Any]:
    """Count parameters, and operations (a multiply-add is 2) of inference on one image, per part."""
    size = network.config.image_size
    counter = FlopCounterMode(display=False)
    # On the meta device nothing is computed, so no kernel is built for it either. In inference mode
    # FlopCounterMode refuses a trainable parameter as a module's input (the local query): freeze it.
    with torch.device("meta"), torch.inference_mode(), counter:
        LNLAttenNet(network.config).eval().requires_grad_(False)(torch.zeros(1, 3, size, size))
    per_module = {name: sum(operations.values()) for name, operations in counter.get_flop_counts().items()}
    parts = [
        {
            "name": name,
            "parameters": sum(parameter.numel() for parameter in part.parameters()),
            "flops": per_module.get(f"LNLAttenNet.{name}", 0),
        }
        for name, part in network.named_children()
    ]
    return {
        "parts": parts,
        "parameters": sum(part["parameters"] for part in parts),
        "flops": counter.get_total_flops(),
    }
