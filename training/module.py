"""The training loop's inside, as a Lightning module."""

from __future__ import annotations

from typing import Any, cast

import lightning as L
import torch
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy

from lnlattennet.model.checkpoint import METADATA_KEY, CheckpointInfo
from lnlattennet.model.loss import joint_loss
from lnlattennet.model.network import JointOutputs, LNLAttenNet, Outputs

Batch = tuple[Tensor, Tensor]


class ExpressionTraining(L.LightningModule):
    """AdamW with a one-cycle schedule on the joint loss.

    Args:
        info: what the finished checkpoint will say; also written into every training checkpoint.
        learning_rate: peak of the schedule.
        weight_decay: of AdamW.
    """

    def __init__(self, info: CheckpointInfo, *, learning_rate: float, weight_decay: float) -> None:
        super().__init__()
        self.info = info
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        network = LNLAttenNet(info.config)
        # channels_last trains about five times faster on a CPU; docs/network.md has the figures.
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.accuracy = MulticlassAccuracy(info.config.classes, average="micro")

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the joint loss of one batch."""
        faces, targets = batch
        joint = _float32(self.network.joint(faces))
        loss = joint_loss(joint, targets, self.info.config)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Count right answers on the validation split."""
        self._evaluate(batch, "val")

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Count right answers on the held-out split."""
        self._evaluate(batch, "test")

    def configure_optimizers(self) -> Any:
        """Return AdamW and its schedule over all steps of the run."""
        optimizer = torch.optim.AdamW(self.parameters(), self.learning_rate, weight_decay=self.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        # Its warm-up must end after the first step and before the last, or it divides by zero.
        warm_up = max(0.1, 2 / steps)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.learning_rate, steps, pct_start=warm_up
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what `--allow-pickle` needs to use a training checkpoint like a finished one."""
        checkpoint[METADATA_KEY] = self.info.to_json()

    def _evaluate(self, batch: Batch, split: str) -> None:
        faces, targets = batch
        self.accuracy(cast(Outputs, self.network(faces)).logits, targets)
        self.log(f"{split}_accuracy", self.accuracy, prog_bar=True, on_epoch=True, on_step=False)


def _float32(joint: JointOutputs) -> JointOutputs:
    """Losses are computed in float32, also when the network ran in bf16."""
    outputs = Outputs(*(tensor.float() for tensor in joint.outputs))
    return JointOutputs(outputs, joint.local_logits.float(), joint.nonlocal_logits.float())
