"""The gate itself: an engine is published only if its answers are the checkpoint's, in any company."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lnlattennet.bundle._manifest import Check
from lnlattennet.export.gate._answers import FormLedger
from lnlattennet.export.gate._ledger import Ledger, Measure
from lnlattennet.export.gate._limits import Limits
from lnlattennet.export.gate._measures import permutation_measures, reference_measures
from lnlattennet.export.gate._schedule import Order, arrangements, batch_sizes
from lnlattennet.model._io_spec import INPUT_NAME, OUTPUT_NAMES
from lnlattennet.runtimes._base import Arrays, BatchRange, Runner


class Faces(Protocol):
    """Normalised faces: a float32 array [n, 3, S, S], or ``StoredFaces`` in a quarter of the memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, indices: NDArray[np.int64], /) -> NDArray[np.float32]:
        """Return the faces of these indices, [len(indices), 3, S, S], as a copy."""
        ...


def check_engine(
    runner: Runner, reference: Arrays, faces: Faces, batch: BatchRange, limits: Limits
) -> list[Check]:
    """Compare an engine with the checkpoint, and with itself when a face's company changes.

    All faces go through at the optimum, some at every other size of ``batch_sizes``; at each size some come
    again in other places and beside other faces (``arrangements``). An output that is missing, of another
    type or shape, or not finite is a failed check of its own.

    Args:
        runner: the engine.
        reference: the checkpoint's answers for ``faces``.
        faces: different ones, n of them.
        batch: the engine's range.
        limits: what passes.

    Returns:
        One check per metric and output; accuracy is not among them (``compare_accuracy``).
    """
    session = _Session(runner, reference, faces, limits)
    for size in batch_sizes(batch):
        session.run_size(size, every_face=size == batch.optimum)
    return session.checks()


class _Session:
    """One engine on its way through the gate."""

    def __init__(self, runner: Runner, reference: Arrays, faces: Faces, limits: Limits) -> None:
        self._runner, self._reference, self._faces = runner, reference, faces
        self._form = FormLedger()
        self._against_reference = self._ledgers(reference_measures(limits))
        self._against_itself = self._ledgers(permutation_measures(limits))

    def run_size(self, size: int, *, every_face: bool) -> None:
        """Run all calls of one batch size."""
        first = _unanswered(self._reference)
        for order in arrangements(size, len(self._faces), every_face=every_face):
            self._run(order, first)

    def checks(self) -> list[Check]:
        """Return the verdicts: first the faults of form, then one per measure that could be taken."""
        verdicts = [ledger.check() for _, ledger in (*self._against_reference, *self._against_itself)]
        return [*self._form.checks(), *(check for check in verdicts if check is not None)]

    def _ledgers(self, measures: list[Measure]) -> list[tuple[str, Ledger]]:
        return [(measure.output, Ledger(measure, len(self._faces))) for measure in measures]

    def _run(self, order: Order, first: Arrays) -> None:
        outputs = self._runner({INPUT_NAME: self._faces[order]})
        for name in OUTPUT_NAMES:
            rows = self._form.comparable(outputs, name, self._reference[name][order], order)
            if len(rows):
                self._compare(name, order[rows], len(order), outputs[name][rows], first[name])

    def _compare(
        self, name: str, who: Order, size: int, found: NDArray[np.float32], first: NDArray[np.float32]
    ) -> None:
        # Whoever is new at this size is compared with itself, which is no difference.
        new = np.isnan(first[who].reshape(len(who), -1)).any(axis=1)
        first[who[new]] = found[new]
        for output, ledger in self._against_reference:
            if output == name:
                ledger.note(who, size, found, self._reference[name][who])
        for output, ledger in self._against_itself:
            if output == name:
                ledger.note(who, size, found, first[who])


def _unanswered(reference: Arrays) -> Arrays:
    return {name: np.full(reference[name].shape, np.nan, np.float32) for name in OUTPUT_NAMES}
