"""Comparison of an engine with the PyTorch reference at several batch sizes and batch compositions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lnlattennet.bundle._manifest import Check
from lnlattennet.export.gate._accumulators import BatchIndices, OutputValidator, WorstCaseAccumulator
from lnlattennet.export.gate._comparisons import Output, max_abs
from lnlattennet.export.gate._constant import constant_check
from lnlattennet.export.gate._metrics import METRICS, Limits, OutputMetric, output_metrics
from lnlattennet.model._io_spec import INPUT_NAME, OUTPUT_NAMES
from lnlattennet.runtimes._base import Arrays, BatchRange, Runner


class Faces(Protocol):
    """Normalized faces: a float32 array [n, 3, S, S], or ``StoredFaces`` in a quarter of the memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, indices: NDArray[np.int64], /) -> NDArray[np.float32]:
        """Return the faces of these indices, [len(indices), 3, S, S], as a copy."""


def check_engine(
    runner: Runner, reference: Arrays, faces: Faces, batch: BatchRange, limits: Limits
) -> list[Check]:
    """Compare an engine with the reference, and with itself when a face's batch neighbors change.

    All faces run at the optimum, some at every other size of ``batch_sizes``; at each size some run again in
    other places and beside other faces (``batch_permutations``). An output that is missing, of another type
    or shape, or not finite is a failed check of its own.

    Args:
        runner: the engine.
        reference: the checkpoint's outputs for ``faces``.
        faces: n different faces.
        batch: batch sizes of the engine.
        limits: limits of the metrics.

    Returns:
        One check per metric and output; accuracy is not among them (``compare_accuracy``).
    """
    session = _Session(runner, reference, faces, limits)
    for size in batch_sizes(batch):
        session.run_size(size, every_face=size == batch.optimum)
    return session.checks()


def batch_sizes(batch: BatchRange) -> list[int]:
    """Return the sizes to check: both ends, the optimum, one image, powers of two and odd ones between."""
    ends = {batch.minimum, batch.optimum, batch.maximum}
    # Kernels differ where a vector or a tile is full, and where the last one is not.
    powers = {2**exponent for exponent in range(batch.maximum.bit_length())}
    # The last is the smallest odd size of several images.
    odd = {1, 5, max(3, batch.minimum | 1)}
    return sorted(size for size in ends | powers | odd if batch.minimum <= size <= batch.maximum)


def batch_permutations(size: int, faces: int, *, every_face: bool, seed: int = 0) -> Iterator[BatchIndices]:
    """Yield the batches of one size: faces beside others, then again in other places and beside yet others.

    The first batch's faces come three times: in order, in reverse (other places, same neighbors), and every
    second of them in its place between other faces. Faces are shuffled, so that a batch is never of one
    kind; if there are fewer than ``size``, some come twice in a batch. One size costs about ``3 * size``
    images, or ``faces + 2 * size`` with every face.

    Args:
        size: images per batch.
        faces: number of faces, 1 or more.
        every_face: use all faces; else only those of the first batch and as many others.
        seed: seed of the shuffle, together with ``size``.
    """
    shuffled = np.random.default_rng((seed, size)).permutation(faces)
    number = -(-faces // size) if every_face else 1
    # Twice as many as needed, so that the mixed batch below has other faces to take.
    indices = np.resize(shuffled, (number + 1) * size)
    first, others = indices[:size], indices[size : 2 * size]
    for start in range(0, number * size, size):
        yield indices[start : start + size]
    yield first[::-1].copy()
    yield np.where(np.arange(size) % 2 == 0, first, others)


class _Session:
    """Run of one engine through the gate."""

    def __init__(self, runner: Runner, reference: Arrays, faces: Faces, limits: Limits) -> None:
        self._runner, self._reference, self._faces = runner, reference, faces
        self._validator = OutputValidator()
        # Without the tolerances of the metric of this name, which flags change.
        self._largest = WorstCaseAccumulator(
            OutputMetric(METRICS["max_abs"], "logits", None, max_abs), len(faces)
        )
        self._accumulators = {
            against: [WorstCaseAccumulator(target, len(faces)) for target in output_metrics(against, limits)]
            for against in ("reference", "first call")
        }

    def run_size(self, size: int, *, every_face: bool) -> None:
        """Run all calls of one batch size."""
        first = {name: np.full(self._reference[name].shape, np.nan, np.float32) for name in OUTPUT_NAMES}
        for indices in batch_permutations(size, len(self._faces), every_face=every_face):
            self._run(indices, first)

    def checks(self) -> list[Check]:
        """Return the checks: first what never passes, then one per metric that could be computed."""
        checks = [accumulator.check() for group in self._accumulators.values() for accumulator in group]
        compared = [check for check in checks if check is not None]
        largest = self._largest.check()
        constant = largest and constant_check(largest, self._reference)
        return [*self._validator.checks(), *filter(None, [constant]), *compared]

    def _run(self, indices: BatchIndices, first: Arrays) -> None:
        outputs = self._runner({INPUT_NAME: self._faces[indices]})
        for name in OUTPUT_NAMES:
            rows = self._validator.comparable_rows(outputs, name, self._reference[name][indices], indices)
            if len(rows):
                self._compare(name, indices[rows], len(indices), outputs[name][rows], first[name])

    def _compare(self, name: str, samples: BatchIndices, size: int, output: Output, first: Output) -> None:
        # The first output for a sample at this batch size becomes its baseline: no difference from itself.
        new = np.isnan(first[samples].reshape(len(samples), -1)).any(axis=1)
        first[samples[new]] = output[new]
        if name == "logits":
            self._largest.add(samples, size, output, self._reference[name][samples])
        baselines = {"reference": self._reference[name], "first call": first}
        for against, accumulators in self._accumulators.items():
            for accumulator in accumulators:
                if accumulator.target.output == name:
                    accumulator.add(samples, size, output, baselines[against][samples])
