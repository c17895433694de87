"""Verification of engines: faces, the checkpoint's outputs for them in PyTorch, and labeled faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lnlattennet._console import status
from lnlattennet.bundle._manifest import Check, LabeledRecord
from lnlattennet.data._face_images import verification_faces
from lnlattennet.data._labeled import LabeledFaces, LabeledSource
from lnlattennet.errors import CheckpointError
from lnlattennet.export.gate._accuracy import AccuracyComparison, compare_accuracy
from lnlattennet.export.gate._check import Faces, check_engine
from lnlattennet.export.gate._constant import check_reference
from lnlattennet.export.gate._limits import default_limits
from lnlattennet.export.gate._metrics import Limits
from lnlattennet.model._io_spec import INPUT_NAME, OUTPUT_NAMES
from lnlattennet.runtimes._base import Arrays, BatchRange, Runner

if TYPE_CHECKING:
    from lnlattennet.model._checkpoint import Checkpoint
    from lnlattennet.model._network import LNLAttenNet

Floats = NDArray[np.float32]
Reference = Callable[[Faces], Arrays]


@dataclass(frozen=True)
class Verifier:
    """Verifier of an export's engines.

    Attributes:
        faces: normalized, [n, 3, S, S].
        reference: the checkpoint's outputs for ``faces``.
        batch: batch sizes of every engine.
        labeled: faces to measure the accuracy on with the checkpoint's logits for them, or None.
        accuracies: name of an engine -> its accuracy, filled by ``check``.
    """

    faces: Floats
    reference: Arrays
    batch: BatchRange
    labeled: tuple[LabeledFaces, Floats] | None = None
    accuracies: dict[str, AccuracyComparison] = field(default_factory=dict)

    def check(self, name: str, runner: Runner, limits: Limits) -> list[Check]:
        """Put an engine through the gate; return its checks."""
        checks = check_engine(runner, self.reference, self.faces, self.batch, limits)
        if self.labeled is not None:
            labeled, expected = self.labeled
            accuracy = compare_accuracy(_logits(runner, labeled, self.batch), expected, labeled.labels)
            self.accuracies[name] = accuracy
            checks.append(accuracy.check(limits["max_accuracy_drop"]["logits"], self.batch.optimum))
        return checks

    def labeled_record(self) -> LabeledRecord | None:
        """Return the accuracies, for the manifest."""
        if self.labeled is None:
            return None
        labeled, expected = self.labeled
        return LabeledRecord(
            name=labeled.name,
            faces=len(labeled.labels),
            checkpoint_accuracy=compare_accuracy(expected, expected, labeled.labels).checkpoint,
            engines={name: accuracy.engine for name, accuracy in self.accuracies.items()},
        )


def create_verifier(
    checkpoint: Checkpoint, faces: int, batch: BatchRange, labeled: LabeledSource | None
) -> Verifier:
    """Render the faces, read the labeled ones, and run the checkpoint on them in PyTorch.

    Raises:
        DataError, ImageError: the labeled faces cannot be read.
        CheckpointError: the checkpoint's own outputs are not finite, or the same for all faces.
    """
    info, run = checkpoint.info, torch_reference(checkpoint.network())
    with_logits = None
    if labeled is not None:
        with status(f"reading {labeled.name}"):
            labeled_faces = labeled.load(info.preprocessing)
            with_logits = labeled_faces, run(labeled_faces.faces)["logits"]
    with status("computing the reference in torch"):
        rendered = verification_faces(max(faces, batch.maximum + 8), info.preprocessing)
        reference = run(rendered)
    check_reference(reference, default_limits("fp32"), info.class_names)
    return Verifier(rendered, reference, batch, with_logits)


def _logits(runner: Runner, labeled: LabeledFaces, batch: BatchRange) -> Floats:
    """Run all labeled faces in batches of the optimum; the last one is filled up to the smallest."""
    parts = []
    for start in range(0, len(labeled.labels), batch.optimum):
        indices = np.arange(start, min(start + batch.optimum, len(labeled.labels)))
        filled = np.resize(indices, max(len(indices), batch.minimum))
        parts.append(runner({INPUT_NAME: labeled.faces[filled]})["logits"][: len(indices)])
    return np.concatenate(parts)


def torch_reference(network: LNLAttenNet) -> Reference:
    """Return the checkpoint's network as a function of normalized faces, one image at a time.

    One image at a time, because a reference must not share an engine's faults with batches. The function
    raises CheckpointError if an answer is not finite: nothing could be compared with it.
    """
    import torch

    def run(faces: Faces) -> Arrays:
        with torch.inference_mode():
            answers = [network(torch.from_numpy(faces[np.array([index])])) for index in range(len(faces))]
        reference = {
            name: np.concatenate([getattr(answer, name).numpy() for answer in answers])
            for name in OUTPUT_NAMES
        }
        for name, array in reference.items():
            broken = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
            if len(broken):
                raise CheckpointError(
                    f"the checkpoint's {name} must be finite, but is not for face {broken[0]}: its weights "
                    "are at fault; train it again"
                )
        return reference

    return run
