"""Whether an engine's outputs have the form that they must have, before anything is compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lnlattennet.bundle._manifest import Check
from lnlattennet.export.gate._comparison import Found
from lnlattennet.runtimes._base import Arrays


class FormLedger:
    """Outputs that are missing, of another type or shape, or not finite: none of them ever passes."""

    def __init__(self) -> None:
        self._checks: dict[tuple[str, str], Check] = {}

    def comparable(
        self, outputs: Arrays, name: str, expected: Found, order: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the rows of a call's output that can be compared with ``expected``; note the others.

        Args:
            outputs: of the engine.
            name: of the output.
            expected: the reference's answers to the same faces [B, ...].
            order: indices of the faces of the call [B].
        """
        every, none = np.arange(len(order)), np.arange(0)
        found = outputs.get(name)
        if not isinstance(found, np.ndarray):
            self._note("missing", name, order, every)
        elif found.dtype != np.float32:
            self._note("dtype", name, order, every)
        elif found.shape != expected.shape:
            self._note("shape", name, order, every)
        else:
            finite = np.isfinite(found.reshape(len(order), -1)).all(axis=1)
            self._note("finite", name, order, np.flatnonzero(~finite))
            return np.flatnonzero(finite)
        return none

    def checks(self) -> list[Check]:
        """Return one failed check per output and kind of fault; ``value`` counts the answers concerned."""
        return list(self._checks.values())

    def _note(self, metric: str, output: str, order: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        if not len(rows):
            return
        before = self._checks.get((metric, output))
        if before is None:
            before = Check(
                metric=metric,
                output=output,
                value=0,
                limit=0,
                passed=False,
                batch=len(order),
                sample=int(order[rows[0]]),
            )
        count = before.value + len(rows)
        self._checks[metric, output] = before.model_copy(update={"value": count})
