"""What every engine is judged with: faces, the checkpoint's answers for them, and labelled faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet._console import stderr
from lnlattennet.bundle._manifest import RENDERED, Check
from lnlattennet.errors import CheckpointError
from lnlattennet.export._options import Criteria
from lnlattennet.export.gate._accuracy import AccuracyComparison, compare_accuracy
from lnlattennet.export.gate._check import Faces, check_engine
from lnlattennet.export.gate._face_images import verification_faces
from lnlattennet.export.gate._labelled_data import LabelledFaces, labelled_faces
from lnlattennet.export.gate._metrics import Limits
from lnlattennet.export.selection._timing import usable_threads
from lnlattennet.model._checkpoint import Checkpoint
from lnlattennet.model._io_spec import INPUT_NAME, OUTPUT_NAMES
from lnlattennet.runtimes._base import Arrays, BatchRange, Runner

if TYPE_CHECKING:
    from lnlattennet.model._network import LNLAttenNet

Floats = NDArray[np.float32]
Reference = Callable[[Faces], Arrays]


@dataclass
class Labelled:
    """Labelled faces, the checkpoint's logits for them, and every engine's accuracy so far."""

    data: LabelledFaces
    logits: Floats
    engines: dict[str, AccuracyComparison] = field(default_factory=dict)


@dataclass(frozen=True)
class Verification:
    """Faces [n, 3, S, S], normalised, the checkpoint's outputs for them, and labelled faces if there are any.

    Attributes:
        batch: every engine's range.
    """

    faces: Floats
    reference: Arrays
    batch: BatchRange
    labelled: Labelled | None

    def judge(self, name: str, runner: Runner, limits: Limits) -> list[Check]:
        """Put an engine through the gate."""
        checks = check_engine(runner, self.reference, self.faces, self.batch, limits)
        if self.labelled is None:
            return checks
        data = self.labelled.data
        logits = _logits(lambda faces: runner({INPUT_NAME: faces})["logits"], data, self.batch)
        accuracy = compare_accuracy(logits, self.labelled.logits, data.labels)
        self.labelled.engines[name] = accuracy
        return [*checks, accuracy.check(limits["max_accuracy_drop"]["logits"], self.batch.optimum)]

    def facts(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        return {
            "faces": len(self.faces),
            "faces_source": RENDERED,
            "threads": usable_threads(),
            "labelled": _labelled_facts(self.labelled) if self.labelled else None,
        }


def open_verification(checkpoint: Checkpoint, criteria: Criteria, batch: BatchRange) -> Verification:
    """Render the faces, read the labelled ones, and let the checkpoint answer in torch.

    Raises:
        DataError, ImageError, UsageError: the labelled data cannot be used.
        CheckpointError: the checkpoint's own answers are not finite.
    """
    info, run = checkpoint.info, torch_reference(checkpoint.network())
    labelled = None
    if criteria.data is not None:
        with stderr.status(f"reading {criteria.data}"):
            data = labelled_faces(
                criteria.data, criteria.split, info.preprocessing, criteria.labelled_faces, info.class_names
            )
            labelled = Labelled(data, run(data.faces)["logits"])
    with stderr.status("computing the reference in torch"):
        faces = verification_faces(max(criteria.faces, batch.maximum + 8), info.preprocessing)
        return Verification(faces, run(faces), batch, labelled)


def _logits(run: Callable[[Floats], Floats], data: LabelledFaces, batch: BatchRange) -> Floats:
    """Answer all labelled faces in batches of the optimum; the last one is filled up to the smallest."""
    parts = []
    for start in range(0, len(data.labels), batch.optimum):
        indices = np.arange(start, min(start + batch.optimum, len(data.labels)))
        filled = np.resize(indices, max(len(indices), batch.minimum))
        parts.append(run(data.faces[filled])[: len(indices)])
    return np.concatenate(parts)


def _labelled_facts(labelled: Labelled) -> dict[str, Any]:
    """Return accuracies as [value, low, high]; the bounds are 95% bootstrap intervals."""
    checkpoint = compare_accuracy(labelled.logits, labelled.logits, labelled.data.labels).engine
    return {
        "name": labelled.data.name,
        "faces": len(labelled.data.labels),
        "checkpoint_accuracy": [checkpoint.value, checkpoint.low, checkpoint.high],
        "engines": {
            name: [found.engine.value, found.engine.low, found.engine.high]
            for name, found in labelled.engines.items()
        },
    }


def torch_reference(network: LNLAttenNet) -> Reference:
    """Return the checkpoint's network as a function of normalised faces, one image at a time.

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
        _require_finite(reference)
        return reference

    return run


def _require_finite(reference: Arrays) -> None:
    for name, array in reference.items():
        broken = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
        if len(broken):
            raise CheckpointError(
                f"the checkpoint's {name} must be finite, but is not for face {broken[0]}: its weights are "
                "at fault; train it again"
            )
