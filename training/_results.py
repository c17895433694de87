"""Results of training runs: evaluation of the best epoch, and the records that `--json` prints."""

from __future__ import annotations

import dataclasses
import logging
import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lnlattennet.model._full_float32 import full_float32
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.training._calibration import fit_temperature
from lnlattennet.training._datamodule import FaceBatches

_FEW_FACES = 100
"""With fewer faces an accuracy, which confidences are to match, is known to 10 points at best."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """Figures of one run.

    Attributes:
        val_accuracy, test_accuracy: shares of right answers; None without a test split.
        judged_on: split that the next two figures are of: test, or val if there is no test split.
        judged_faces, judged_right: number of its faces, and of right answers.
        temperature: temperature that calibrates the validation faces.
        epochs, training_seconds: length of the training.
        checkpoint: path of the checkpoint; None before it is written.
    """

    val_accuracy: float
    test_accuracy: float | None = None
    judged_on: str
    judged_faces: int
    judged_right: int
    temperature: float
    epochs: int
    training_seconds: int
    checkpoint: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, without those that are None."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class CrossValidationResult:
    """Figures of the runs of all folds.

    Attributes:
        protocol: "loso" or the number of folds.
        data: name of the data set.
        mean_accuracy, standard_deviation: mean and sample standard deviation of the folds' accuracies.
        pooled_accuracy: share of right answers of all ``faces``.
        faces: number of faces, each evaluated in one fold.
        folds: name -> figures of the fold.
        summary: path of the file with these figures; None before it is written.
    """

    protocol: str
    data: str
    mean_accuracy: float
    standard_deviation: float
    pooled_accuracy: float
    faces: int
    folds: dict[str, TrainingResult]
    summary: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; ``folds`` is a list of objects that have their name."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields["folds"] = [{"name": name} | result.to_dict() for name, result in self.folds.items()]
        return {name: value for name, value in fields.items() if value is not None}


def summarize(folds: dict[str, TrainingResult], protocol: str, data: str) -> CrossValidationResult:
    """Return mean, sample standard deviation and pooled accuracy of at least two folds."""
    results = folds.values()
    accuracies = [result.judged_right / result.judged_faces for result in results]
    faces = sum(result.judged_faces for result in results)
    return CrossValidationResult(
        protocol=protocol,
        data=data,
        mean_accuracy=round(statistics.mean(accuracies), 4),
        standard_deviation=round(statistics.stdev(accuracies), 4),
        pooled_accuracy=round(sum(result.judged_right for result in results) / faces, 4),
        faces=faces,
        folds=folds,
    )


def evaluate_best_epoch(
    network: LNLAttenNet, batches: FaceBatches, device: torch.device, epochs: int, seconds: float
) -> TrainingResult:
    """Return the accuracies, and the temperature that calibrates the validation faces.

    Every face counts once and one process sees them all, in float32, however the network was trained.
    """
    labels = batches.data.labels
    logits = {split: _split_logits(network, batches, split, device) for split in labels if split != "train"}
    right = {split: int((values.argmax(axis=1) == labels[split]).sum()) for split, values in logits.items()}
    accuracies = {split: round(right[split] / len(labels[split]), 4) for split in logits}
    split = batches.data.evaluation_split
    # One face alone says nothing about confidence.
    calibrated = len(labels["val"]) > 1
    if len(labels["val"]) < _FEW_FACES:
        _log.warning(
            "the temperature is fitted on %d validation faces only, so confidences may be far off; look at "
            "the ECE that `lnlattennet evaluate` gives for other faces",
            len(labels["val"]),
        )
    return TrainingResult(
        val_accuracy=accuracies["val"],
        test_accuracy=accuracies.get("test"),
        judged_on=split,
        judged_faces=len(labels[split]),
        judged_right=right[split],
        temperature=round(fit_temperature(logits["val"], labels["val"]), 4) if calibrated else 1.0,
        epochs=epochs,
        training_seconds=round(seconds),
    )


@torch.inference_mode()
def _split_logits(
    network: LNLAttenNet, batches: FaceBatches, split: str, device: torch.device
) -> NDArray[np.float32]:
    """Return the float32 logits [N, classes] of a split's faces in order, each once."""
    network = network.eval().to(device)
    with full_float32():
        logits = [network(faces.to(device)).logits.cpu() for faces, _ in batches.in_order(split)]
    return torch.cat(logits).numpy()
