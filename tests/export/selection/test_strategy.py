"""Selection: the strategy decides, noise does not, and an impossible budget is reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lnlattennet.bundle._export_options import SelectionOptions
from lnlattennet.errors import GateError
from lnlattennet.export._candidate import Candidate
from lnlattennet.export.selection._strategy import select
from tests.bundle.manifests import engine

RNG = np.random.default_rng(0)


def candidate(name: str, precision: str = "fp32", noise: float = 0.02, **medians: float) -> Candidate:
    """Timed at the batch sizes b1, b8, ...; every engine gets the same slow rounds."""
    samples = {
        int(size[1:]): list(median * (1 + noise * np.abs(np.random.default_rng(7).standard_normal(60))))
        for size, median in medians.items()
    }
    return timed(f"{name}-{precision}", samples)


def timed(name: str, samples: dict[int, list[float]]) -> Candidate:
    return Candidate(engine(name), Path("engine"), {}, samples=samples)


def test_the_lowest_median_at_the_smallest_batch_wins() -> None:
    slow_alone = candidate("onnxruntime", b1=3, b8=10)
    fast_alone = candidate("openvino", "int8", b1=1, b8=20)
    chosen = select([slow_alone, fast_alone], SelectionOptions(strategy="min-latency"))
    assert chosen.name == "openvino-int8"
    assert "at batch 1" in chosen.because
    assert "onnxruntime-fp32 takes 3.00 times as long" in chosen.because


def test_throughput_looks_at_every_batch() -> None:
    slow_alone = candidate("onnxruntime", b1=3, b8=10)
    fast_alone = candidate("openvino", "int8", b1=1.5, b8=20)
    chosen = select([slow_alone, fast_alone], SelectionOptions(strategy="max-throughput"))
    assert chosen.name == "onnxruntime-fp32"
    assert "faces/s" in chosen.because
    assert "batch 8" in chosen.because


def test_a_budget_excludes_batches_that_take_longer() -> None:
    large = candidate("onnxruntime", b1=6, b8=10)
    small = candidate("openvino", b1=2, b8=30)
    chosen = select([large, small], SelectionOptions(strategy="latency-budget", budget_ms=5))
    assert chosen.name == "openvino-fp32"
    assert "within 5 ms" in chosen.because
    assert (
        select([large, small], SelectionOptions(strategy="latency-budget", budget_ms=12)).name
        == "onnxruntime-fp32"
    )


def test_a_budget_that_nothing_keeps_publishes_nothing_and_names_the_fastest() -> None:
    with pytest.raises(GateError, match=r"--latency-budget 1ms: .* the fastest, openvino-fp32, takes 2\.0"):
        select(
            [candidate("onnxruntime", b1=6), candidate("openvino", b1=2)],
            SelectionOptions(strategy="latency-budget", budget_ms=1),
        )


@pytest.mark.parametrize("order", [1, -1])
def test_without_a_significant_difference_the_simpler_engine_wins(order: int) -> None:
    jitter = [10 + value for value in RNG.standard_normal(50)]
    alike = [10 + value for value in RNG.standard_normal(50)]
    engines = [
        timed("openvino-int8", {1: jitter}),
        timed("onnxruntime-fp32", {1: alike}),
        timed("openvino-fp32", {1: [value + 0.01 for value in alike]}),
    ][::order]
    chosen = select(engines, SelectionOptions(strategy="min-latency"))
    assert chosen.name == "onnxruntime-fp32"


def test_engines_that_are_equal_alone_are_compared_in_larger_batches() -> None:
    fast = [10 + value for value in RNG.standard_normal(50)]
    alike = [value + 0.05 for value in RNG.permutation(fast)]
    twice = [2 * value for value in fast]
    simple, other = (
        timed("onnxruntime-int8", {1: fast, 8: twice}),
        timed("openvino-int8", {1: alike, 8: fast}),
    )
    chosen = select([simple, other], SelectionOptions(strategy="min-latency"))
    assert chosen.name == "openvino-int8"
    assert "no significant difference from onnxruntime-int8" in chosen.because
    assert chosen.because.endswith("and it is faster in larger batches")
    simple.samples[8] = alike
    assert select([simple, other], SelectionOptions(strategy="min-latency")).name == "onnxruntime-int8"


def test_the_sentence_says_that_a_difference_was_not_significant() -> None:
    fast = [10 + value for value in RNG.standard_normal(50)]
    slower = [value + 0.05 for value in RNG.permutation(fast)]
    engines = [
        timed("openvino-int8", {1: fast}),
        timed("onnxruntime-fp32", {1: slower}),
    ]
    assert (
        "no significant difference from openvino-int8"
        in select(engines, SelectionOptions(strategy="min-latency")).because
    )


def test_the_only_engine_is_chosen_and_the_reason_says_so() -> None:
    chosen = select([candidate("torch", b1=5)], SelectionOptions(strategy="min-latency"))
    assert chosen.name == "torch-fp32"
    assert "the only engine that passed" in chosen.because
