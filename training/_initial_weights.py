"""Weights of another checkpoint to start a training from."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch

from lnlattennet._command import printable
from lnlattennet.errors import UsageError
from lnlattennet.model._checkpoint import Checkpoint, load_checkpoint
from lnlattennet.model._class_names import composed
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._network import LNLAttenNet

_log = logging.getLogger(__name__)


def start_from(path: Path, network: LNLAttenNet, class_names: tuple[str, ...]) -> Checkpoint:
    """Copy a checkpoint's weights into ``network``, and return the checkpoint.

    Where its classes are others, or in another order, the layers that give logits keep their own initial
    weights; a log message names them.

    Raises:
        CheckpointError: the file is missing or no checkpoint.
        UsageError: its network is another one.
    """
    checkpoint, state = load_checkpoint(path), network.state_dict()
    same_classes = composed(checkpoint.info.class_names) == composed(class_names)
    anew = set() if same_classes else _class_layers(network.config)
    for name in sorted(set(state) | set(checkpoint.weights)):
        if name in anew:
            continue
        here, there = state.get(name), checkpoint.weights.get(name)
        if here is None or there is None or here.shape != there.shape:
            shapes = ["missing" if tensor is None else list(tensor.shape) for tensor in (there, here)]
            raise UsageError(
                f"--init {printable(path)} has another network: its {name} is {shapes[0]}, here "
                f"{shapes[1]}; give --network its fields (`lnlattennet info` prints them), or no --init"
            )
    kept = {name: tensor for name, tensor in checkpoint.weights.items() if name not in anew}
    network.load_state_dict(kept, strict=False)
    if anew:
        _log.info("--init: the classes differ, so these start anew: %s", ", ".join(sorted(anew)))
    return checkpoint


def _class_layers(config: NetworkConfig) -> set[str]:
    """Return the names of the tensors whose shape depends on the number of classes."""
    with torch.device("meta"):
        few, more = (LNLAttenNet(replace(config, classes=classes)).state_dict() for classes in (2, 3))
    return {name for name, tensor in few.items() if tensor.shape != more[name].shape}
