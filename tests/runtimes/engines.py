"""Assertions on engines for the tests of all backends."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lnlattennet.runtimes._base import Arrays, BatchRange, EngineFile, Runner
from lnlattennet.runtimes._precision import PrecisionPlan, uniform_plan
from tests.conftest import SMALL

BATCH = BatchRange(1, 4, 8)
BuildEngine = Callable[[str, PrecisionPlan], EngineFile]


def faces(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Noise as faces of the small network."""
    return np.random.default_rng(seed).standard_normal((count, 3, 48, 48)).astype(np.float32)


def plan(precision: str, blocks: dict[str, str] | None = None) -> PrecisionPlan:
    """One precision for all blocks of the small network but those that are named."""
    return uniform_plan(precision, SMALL).raised(blocks or {})


def assert_agrees(runner: Runner, reference: Arrays, atol: float, logits_atol: float) -> None:
    """Every output lies as near to the checkpoint's at several batch sizes; ``reference`` is of faces(8)."""
    assert reference["logits"].std() > 10 * logits_atol
    for count in (1, 2, 5, 8):
        found = runner({"image": faces(8)[:count]})
        for name, expected in reference.items():
            assert found[name].dtype == np.float32
            limit = logits_atol if name == "logits" else atol
            np.testing.assert_allclose(found[name], expected[:count], atol=limit, rtol=0)


def assert_takes_threads(runner: Runner) -> None:
    """Calls from several threads at once give what calls one after the other give."""
    inputs = [{"image": faces(2, seed)} for seed in range(12)]
    expected = [runner(one)["logits"] for one in inputs]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: runner(one)["logits"], inputs))
    np.testing.assert_allclose(np.stack(found), np.stack(expected), atol=1e-6)
