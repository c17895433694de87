"""Every metric of the registry has its flag, is checked in its direction, and is drawn in the report."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
import pytest

from lnlattennet.bundle._manifest import Check, Manifest
from lnlattennet.export._cli import export_engine
from lnlattennet.export.gate._accumulators import WorstCaseAccumulator
from lnlattennet.export.gate._comparisons import MetricValues, Output
from lnlattennet.export.gate._limits import failure_text
from lnlattennet.export.gate._metrics import METRICS, Metric, OutputMetric
from lnlattennet.export.report._checks import tolerance_panels
from lnlattennet.export.report._document import report_document

metrics = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)


@metrics
def test_every_limit_is_a_flag_with_help(metric: Metric) -> None:
    parameters = inspect.signature(export_engine).parameters
    for limit in metric.limits:
        option = parameters[limit.name]
        assert option.default is None
        assert option.annotation.__metadata__[0].help == limit.help


@metrics
@pytest.mark.parametrize("value", [0.25, 0.75])
def test_a_value_passes_in_the_metrics_direction(metric: Metric, value: float) -> None:
    def compare(output: Output, expected: Output) -> MetricValues:
        return MetricValues(output.astype(np.float64)[:, 0])

    accumulator = WorstCaseAccumulator(OutputMetric(metric, "logits", 0.5, compare), samples=2)
    better = np.float32(1 if metric.higher_is_better else 0)
    rows = np.array([[value], [value if metric.mean else better]], np.float32)
    accumulator.add(np.array([0, 1]), 2, rows, np.zeros_like(rows))
    check = accumulator.check()
    assert check is not None
    assert (check.value, check.limit) == (value, 0.5)
    assert check.passed is ((value > 0.5) is metric.higher_is_better)


@metrics
def test_a_failed_check_has_a_sentence_and_a_panel_beyond_the_limit(
    metric: Metric, make_manifest: Callable[..., Manifest]
) -> None:
    manifest = make_manifest()
    value = 0.25 if metric.higher_is_better else 0.75
    check = Check(metric=metric.name, output=metric.outputs[0], value=value, limit=0.5, passed=False)
    assert f"{value:g}" in failure_text([check])
    engine = manifest.engines[0].model_copy(update={"checks": [check]})
    document = report_document(manifest.model_copy(update={"engines": [engine], "skipped": []}), {})
    found = tolerance_panels(document)
    assert [panel["title"] for panel in found["panels"]] == [metric.title]
    assert found["panels"][0]["rows"][0]["at"] > found["limit"]
