"""Accumulators over the calls of an engine: the worst value of a metric, and outputs of the wrong form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lnlattennet.bundle._manifest import Check
from lnlattennet.export.gate._comparisons import Output, differing_region
from lnlattennet.export.gate._metrics import OutputMetric
from lnlattennet.runtimes._base import Arrays

BatchIndices = NDArray[np.int64]
"""Indices of the samples of one batch, [B]."""


class WorstCaseAccumulator:
    """Worst value so far of one metric for each sample, with its limit, batch size and region.

    A sample's worst call counts in means too, so that a fault at one batch size shows.

    Args:
        target: the metric of one output.
        samples: number of samples.
    """

    def __init__(self, target: OutputMetric, samples: int) -> None:
        self.target = target
        self._excess = np.full(samples, -np.inf)
        fields = [("value", np.float64), ("limit", np.float64), ("batch", np.int64), ("region", np.int64)]
        self._worst = np.zeros(samples, fields)

    def add(self, indices: BatchIndices, batch: int, output: Output, expected: Output) -> None:
        """Compare rows of a call of ``batch`` samples; ``indices`` [n] names the samples of the rows."""
        if not len(indices):
            return
        values = self.target.compare(output, expected)
        regions = differing_region(output, expected) if values.region is None else values.region
        limits = np.full(len(indices), self.target.limit or 0.0) if values.allowed is None else values.allowed
        excess = values.value - limits
        if self.target.metric.higher_is_better:
            excess = -excess
        # One by one: in a batch larger than the number of samples, some come twice.
        for row, sample in enumerate(indices):
            if excess[row] > self._excess[sample]:
                self._excess[sample] = excess[row]
                self._worst[sample] = values.value[row], limits[row], batch, regions[row]

    def check(self) -> Check | None:
        """Return the check, or None if no output could be compared."""
        metric, output, limit = self.target.metric, self.target.output, self.target.limit
        compared = self._excess > -np.inf
        if not compared.any():
            return None
        sample = int(self._excess.argmax())
        worst = self._worst[sample]
        value = float(self._worst["value"][compared].mean() if metric.mean else worst["value"])
        if limit is not None and not metric.mean:
            limit = float(worst["limit"])
        return Check(
            metric=metric.name,
            output=output,
            value=value,
            limit=limit,
            passed=metric.passed(value, limit),
            batch=int(worst["batch"]),
            sample=sample,
            region=None if output == "logits" else int(worst["region"]),
        )


class OutputValidator:
    """Outputs that are missing, of another type or shape, not finite or negative weights: never passed.

    ``check_outputs`` refuses the same in answers, so an engine with one could not serve.
    """

    def __init__(self) -> None:
        self._checks: dict[tuple[str, str], Check] = {}

    def comparable_rows(
        self, outputs: Arrays, name: str, expected: Output, indices: BatchIndices
    ) -> NDArray[np.int64]:
        """Return the rows of a call's output that can be compared with ``expected``; record the others.

        Args:
            outputs: outputs of the engine.
            name: name of the output.
            expected: the reference's output for the same samples [B, ...].
            indices: the samples of the call [B].
        """
        every, none = np.arange(len(indices)), np.arange(0)
        output = outputs.get(name)
        if not isinstance(output, np.ndarray):
            self._record("missing", name, indices, every)
        elif output.dtype != np.float32:
            self._record("dtype", name, indices, every)
        elif output.shape != expected.shape:
            self._record("shape", name, indices, every)
        else:
            finite = np.isfinite(output.reshape(len(indices), -1)).all(axis=1)
            self._record("finite", name, indices, np.flatnonzero(~finite))
            if name != "logits":
                negative = (output.reshape(len(indices), -1) < 0).any(axis=1)
                self._record("negative", name, indices, np.flatnonzero(negative))
            return np.flatnonzero(finite)
        return none

    def checks(self) -> list[Check]:
        """Return one failed check per output and fault; ``value`` counts the samples concerned."""
        return list(self._checks.values())

    def _record(self, fault: str, output: str, indices: BatchIndices, rows: NDArray[np.int64]) -> None:
        if not len(rows):
            return
        earlier = self._checks.get((fault, output)) or Check(
            metric=fault,
            output=output,
            value=0,
            limit=0,
            passed=False,
            batch=len(indices),
            sample=int(indices[rows[0]]),
        )
        self._checks[fault, output] = earlier.model_copy(update={"value": earlier.value + len(rows)})
