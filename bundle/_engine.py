"""A loaded engine that takes any number of faces and gives checked numpy arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.runtimes._base import Arrays, Runner


class Engine:
    """Runs an engine on any number of faces, in batches that it accepts; may be called from several threads.

    Args:
        runner: the loaded engine.
        smallest: its smallest batch.
        largest: its largest batch.
        check: raises if the outputs of a batch of the given size break a rule.
    """

    def __init__(
        self, runner: Runner, smallest: int, largest: int, check: Callable[[Arrays, int], None]
    ) -> None:
        self._runner = runner
        self._smallest = smallest
        self._largest = largest
        self._check = check

    def __call__(self, faces: NDArray[np.float32]) -> Arrays:
        """Return logits, region_weights and region_affinity for normalized faces float32 [n, 3, S, S].

        Raises:
            EngineOutputError: an output breaks a rule of ``check_outputs``.
        """
        starts = range(0, max(len(faces), 1), self._largest)
        parts = [self._run(faces[start : start + self._largest]) for start in starts]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _run(self, faces: NDArray[np.float32]) -> Arrays:
        # Some engines have a smallest batch; outputs do not depend on the padding.
        missing = max(0, max(self._smallest, 1) - len(faces))
        outputs = self._runner({INPUT_NAME: np.pad(faces, ((0, missing), (0, 0), (0, 0), (0, 0)))})
        self._check(outputs, len(faces) + missing)
        return {name: array[: len(faces)] for name, array in outputs.items()}
