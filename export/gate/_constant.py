"""Constant answers: an engine must be far better than one, and the checkpoint must not give one itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from lnlattennet.bundle._manifest import Check
from lnlattennet.errors import CheckpointError
from lnlattennet.export.gate._comparisons import tied_classes
from lnlattennet.export.gate._metrics import METRICS, Limits
from lnlattennet.runtimes._base import Arrays

_ALLOWED_SHARE = 0.5
"""Share of a constant answer's largest difference that an engine may have."""

_log = logging.getLogger(__name__)


def constant_check(largest: Check, reference: Arrays) -> Check | None:
    """Return a failed check if an engine is hardly nearer to the checkpoint than a constant answer is.

    Where a network's answers hardly differ from face to face, shares, cosines and divergences let a constant
    through; this does not depend on their scale.

    Args:
        largest: the engine's largest difference of a logit, whatever is tolerated.
        reference: the checkpoint's outputs for n different faces.
    """
    logits = reference["logits"].astype(np.float64)
    allowed = _ALLOWED_SHARE * float(np.abs(logits - logits.mean(axis=0)).max())
    if largest.value <= allowed:
        return None
    return largest.model_copy(update={"metric": "constant", "limit": allowed, "passed": False})


def check_reference(reference: Arrays, limits: Limits, class_names: Sequence[str]) -> None:
    """Refuse a checkpoint that does not answer; warn of one whose answers no engine can miss.

    Args:
        reference: its outputs for n different faces.
        limits: fp32's, of which the absolute tolerance says what rounding is.
        class_names: in the order of the logits.

    Raises:
        CheckpointError: its logits are the same for all faces, or for all classes.
    """
    logits = reference["logits"]
    rounding = 2 * (limits["atol"]["logits"] or 0.0)
    for axis, among in ((0, "faces"), (1, "classes")):
        spread = float(np.ptp(logits, axis=axis).max())
        if spread <= rounding:
            raise CheckpointError(
                f"the checkpoint's logits are the same for all {among}: over {len(logits)} different faces "
                f"they differ by {spread:.3g} at most. An engine that ignores its input would pass the gate; "
                "train the network again"
            )
    answers = np.unique(logits.argmax(axis=1))
    if len(answers) == 1:
        _warn(f"answers {class_names[answers[0]]!r} for all {len(logits)} rendered faces")
    elif tied_classes(logits).all():
        _warn(f"finds two classes equally likely, but for 1%, for all {len(logits)} rendered faces")


def _warn(answer: str) -> None:
    _log.warning(
        "the checkpoint %s: %s says nothing about its engines; judge it with `lnlattennet evaluate`, "
        "or train it longer",
        answer,
        METRICS["top1_agreement"].limits[0].flag,
    )
