"""Knowledge distillation: a network also learns what trained networks predict for its faces.

Sources: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015; Beyer et al., "Knowledge
distillation: A good teacher is patient and consistent", CVPR 2022: the teachers see the very faces that the
network is given, changed and mixed as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from lnlattennet._command import printable
from lnlattennet.errors import UsageError
from lnlattennet.model._checkpoint import Checkpoint, load_checkpoint
from lnlattennet.model._class_names import composed
from lnlattennet.model._preprocessing import Preprocessing

SHARE = 0.5
"""Share of a target that the teachers decide; the rest is the face's own."""


class Teachers:
    """The mean prediction of at least one trained network.

    Args:
        checkpoints: the teachers; each knows the classes of ``class_names``, in any order.
        class_names: classes of the training.
    """

    def __init__(self, checkpoints: Sequence[Checkpoint], class_names: tuple[str, ...]) -> None:
        self.networks = [
            # As the network that learns: see ExpressionTraining.
            checkpoint.network().eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            for checkpoint in checkpoints
        ]
        self.orders = [
            [composed(checkpoint.info.class_names).index(name) for name in composed(class_names)]
            for checkpoint in checkpoints
        ]

    @torch.no_grad()
    def targets(self, faces: Tensor, targets: Tensor) -> Tensor:
        """Return targets [B, classes] that are half the faces' own and half what the teachers predict.

        Args:
            faces: normalized faces [B, 3, S, S], which are resized for a teacher of another size.
            targets: class indices [B], or class probabilities [B, classes].
        """
        predictions = []
        for network, order in zip(self.networks, self.orders, strict=True):
            size = network.config.image_size
            seen = faces
            if faces.shape[-1] != size:
                seen = F.interpolate(faces, (size, size), mode="bilinear", antialias=True)
            logits = network.to(faces.device)(seen).logits
            predictions.append(logits[:, order].float().softmax(dim=1))
        predicted = torch.stack(predictions).mean(dim=0)
        if targets.dim() == 1:
            targets = F.one_hot(targets, predicted.shape[1]).to(predicted.dtype)
        return torch.lerp(targets, predicted, SHARE)


def load_teachers(
    paths: Sequence[Path], class_names: tuple[str, ...], preprocessing: Preprocessing
) -> list[Checkpoint]:
    """Load the checkpoints of the teachers.

    Raises:
        CheckpointError: a file is missing or no checkpoint.
        UsageError: a teacher has other classes, or normalizes pixels otherwise than this training.
    """
    teachers = [load_checkpoint(path) for path in paths]
    for path, info in zip(paths, (teacher.info for teacher in teachers), strict=True):
        if set(composed(info.class_names)) != set(composed(class_names)):
            raise UsageError(
                f"--teacher {printable(path)} predicts {', '.join(info.class_names)}; this training has the "
                f"classes {', '.join(class_names)}: give a checkpoint of the same classes"
            )
        theirs = info.preprocessing
        if (theirs.mean, theirs.std) != (preprocessing.mean, preprocessing.std):
            raise UsageError(
                f"--teacher {printable(path)} normalizes pixels by mean {theirs.mean} and deviation "
                f"{theirs.std}; this training by {preprocessing.mean} and {preprocessing.std}: give a "
                "checkpoint that lnlattennet trained"
            )
    return teachers
