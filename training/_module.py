"""Lightning module: joint loss, validation metrics, optimizer and schedule."""

from __future__ import annotations

import math
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR
from torchmetrics.classification import MulticlassAccuracy

from lnlattennet.errors import DataError
from lnlattennet.model._checkpoint import METADATA_KEY, CheckpointInfo
from lnlattennet.model._loss import joint_loss
from lnlattennet.model._network import JointOutputs, LNLAttenNet, Outputs
from lnlattennet.training._options import TrainingOptions
from lnlattennet.training._teachers import Teachers

Batch = tuple[Tensor, Tensor]
REGION_METRIC = "val_region_"
"""Prefix of the logged mean weight of a region over the validation faces."""


class ExpressionTraining(L.LightningModule):
    """AdamW on the joint loss, with the options' schedule.

    Args:
        info: what the finished checkpoint will say; also written into every training checkpoint.
        options: learning rate, weight decay, schedule and label smoothing.
        class_weights: [classes], for the loss; None for equal ones.
        teachers: what half of every training target is learned from; None for the faces' own targets alone.
    """

    def __init__(
        self,
        info: CheckpointInfo,
        options: TrainingOptions,
        class_weights: Tensor | None = None,
        teachers: Teachers | None = None,
    ) -> None:
        super().__init__()
        self.info = info
        self.options = options
        self.teachers = teachers
        # Not persistent: a training checkpoint holds the network and nothing else.
        self.register_buffer("class_weights", class_weights, persistent=False)
        network = LNLAttenNet(info.config)
        # channels_last trains about five times faster on a CPU; docs/reference/network.md has the figures.
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.accuracy = MulticlassAccuracy(info.config.classes, average="micro")

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the joint loss of one batch."""
        faces, targets = batch
        if self.teachers:
            targets = self.teachers.targets(faces, targets)
        loss = joint_loss(
            _float32(self.network.joint(faces)),
            targets,
            self.info.config,
            class_weights=cast(Tensor | None, self.class_weights),
            label_smoothing=self.options.label_smoothing,
        )
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Count right answers on the validation split, and average the region weights over it."""
        faces, targets = batch
        outputs = cast(Outputs, self.network(faces))
        if not outputs.logits.isfinite().all():
            raise DataError(
                f"the network's answers after epoch {self.current_epoch} are not finite: the training "
                f"diverged; use a lower --learning-rate than {self.options.learning_rate:g}, and another "
                "--run-folder"
            )
        self.accuracy(outputs.logits, targets)
        self.log("val_accuracy", self.accuracy, prog_bar=True, on_epoch=True, on_step=False)
        regions = outputs.region_weights.float().mean(dim=0)
        named = {f"{REGION_METRIC}{index}": weight for index, weight in enumerate(regions)}
        self.log_dict(named, on_epoch=True, on_step=False, sync_dist=True, batch_size=len(targets))

    def configure_optimizers(self) -> Any:
        """Return AdamW and its schedule over all steps of the run, or those that were added to it."""
        options = self.options
        steps = int(self.trainer.estimated_stepping_batches) * options.scheduled_epochs // options.epochs
        groups = decay_groups(self.network, options.weight_decay)
        optimizer = torch.optim.AdamW(groups, options.learning_rate)
        if options.schedule == "cosine":
            warm_up = round(steps * options.cosine_warmup / options.scheduled_epochs)
            schedule: LRScheduler = cosine(optimizer, steps, warm_up)
        else:
            # Its warm-up must end after the first step and before the last, or it divides by zero.
            schedule = OneCycleLR(optimizer, options.learning_rate, steps, pct_start=max(0.1, 2 / steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the schedule of a finished run behind: the epochs that were added have their own."""
        if self.options.first_epoch and checkpoint["epoch"] < self.options.first_epoch:
            checkpoint["lr_schedulers"] = []

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what `--allow-pickle` needs to use a training checkpoint like a finished one."""
        checkpoint[METADATA_KEY] = self.info.to_json()


def decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return AdamW's parameter groups: weights of convolutions and layers decay, nothing else does.

    Biases, norms, queries and positions are compared or added, not multiplied by features: decay would
    only pull them to zero.
    """
    named = list(network.named_parameters())
    decayed = [value for name, value in named if name.endswith("weight") and value.dim() > 1]
    kept = {id(value) for value in decayed}
    rest = [value for _, value in named if id(value) not in kept]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def _float32(joint: JointOutputs) -> JointOutputs:
    """Losses are computed in float32, also when the network ran in bf16."""
    outputs = Outputs(*(tensor.float() for tensor in joint.outputs))
    return JointOutputs(outputs, joint.local_logits.float(), joint.nonlocal_logits.float())


def cosine(optimizer: Optimizer, steps: int, warm_up_steps: int) -> LRScheduler:
    """Return a linear warm-up to the optimizer's rate, then half a cosine down to zero.

    ``SequentialLR`` of ``LinearLR`` and ``CosineAnnealingLR`` has the same rates, but cannot load the state
    of runs that were started with this one.
    """

    def share(step: int) -> float:
        if step < warm_up_steps:
            return (step + 1) / (warm_up_steps + 1)
        done = (step - warm_up_steps) / max(1, steps - warm_up_steps)
        return (1 + math.cos(math.pi * min(1.0, done))) / 2

    return LambdaLR(optimizer, share)
