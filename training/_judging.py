"""What the chosen weights are worth: logits of a split, accuracy, temperature."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lnlattennet.model._network import LNLAttenNet
from lnlattennet.training._calibration import fit_temperature
from lnlattennet.training._datamodule import FaceBatches


@torch.inference_mode()
def split_logits(
    network: LNLAttenNet, data: FaceBatches, split: str, device: torch.device
) -> NDArray[np.float32]:
    """Return the float32 logits [N, classes] of a split's faces in order, each once."""
    network = network.eval().to(device)
    logits = [network(faces.to(device)).logits.cpu() for faces, _ in data.in_order(split)]
    return torch.cat(logits).numpy()


def judge(network: LNLAttenNet, data: FaceBatches, device: torch.device) -> dict[str, Any]:
    """Return the accuracies, and the temperature that calibrates the validation faces.

    Every face counts once and one process sees them all, in float32, however the network was trained.
    """
    labels = data.source.labels
    logits = {split: split_logits(network, data, split, device) for split in labels if split != "train"}
    right = {split: int((values.argmax(axis=1) == labels[split]).sum()) for split, values in logits.items()}
    accuracies = {f"{split}_accuracy": round(right[split] / len(labels[split]), 4) for split in logits}
    judged_on = data.source.judged_on
    return accuracies | {
        "judged_on": judged_on,
        "judged_faces": len(labels[judged_on]),
        "judged_right": right[judged_on],
        # One face alone says nothing about confidence.
        "temperature": round(fit_temperature(logits["val"], labels["val"]), 4)
        if len(labels["val"]) > 1
        else 1.0,
    }
