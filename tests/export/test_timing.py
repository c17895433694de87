"""Interleaved timing: fair order, every counted call kept."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lnlattennet.export.backends.base import Arrays
from lnlattennet.export.timing import WARM_UP_CALLS, engine_latency, interleaved_calls


def test_calls_take_turns_at_being_first_and_every_counted_one_is_kept() -> None:
    order: list[str] = []
    samples = interleaved_calls({name: lambda name=name: order.append(name) for name in "abc"}, 6)  # type: ignore[misc]
    counted = "".join(order[3 * WARM_UP_CALLS :])
    assert counted == "abcbcacab" * 2
    assert {name: len(values) for name, values in samples.items()} == {"a": 6, "b": 6, "c": 6}
    assert min(min(values) for values in samples.values()) > 0


def test_engines_are_timed_on_the_given_faces() -> None:
    seen = []
    faces = np.zeros((2, 3, 4, 4), np.float32)

    def engine(inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        seen.append(inputs["image"])
        return {}

    engine_latency({"engine": engine}, faces, 3)
    assert len(seen) == WARM_UP_CALLS + 3
    assert all(array is faces for array in seen)
