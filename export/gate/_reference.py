"""The checkpoint's own answers, which every engine is held against."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from lnlattennet.errors import CheckpointError
from lnlattennet.export.gate._check import Faces
from lnlattennet.model._io_spec import OUTPUT_NAMES
from lnlattennet.runtimes._base import Arrays

if TYPE_CHECKING:
    from lnlattennet.model._network import LNLAttenNet

Reference = Callable[[Faces], Arrays]


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
