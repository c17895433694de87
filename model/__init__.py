"""Network, its configuration, its input preprocessing and its checkpoint files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names

if TYPE_CHECKING:
    from lnlattennet.model._checkpoint import Checkpoint, CheckpointInfo, load_checkpoint, save_checkpoint
    from lnlattennet.model._config import NetworkConfig
    from lnlattennet.model._io_spec import INPUT_NAME, OUTPUT_NAMES
    from lnlattennet.model._loss import joint_loss
    from lnlattennet.model._network import JointOutputs, LNLAttenNet, Outputs
    from lnlattennet.model._preprocessing import Preprocessing

__all__ = [
    "INPUT_NAME",
    "OUTPUT_NAMES",
    "Checkpoint",
    "CheckpointInfo",
    "JointOutputs",
    "LNLAttenNet",
    "NetworkConfig",
    "Outputs",
    "Preprocessing",
    "joint_loss",
    "load_checkpoint",
    "save_checkpoint",
]

__getattr__ = lazy_names(__name__, __file__)
