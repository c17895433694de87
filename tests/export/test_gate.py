"""The gate lets through what equals the reference and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lnlattennet.export.backends.base import Arrays, BatchRange
from lnlattennet.export.gate import Tolerances, check_engine, torch_reference
from lnlattennet.export.manifest import OutputCheck
from lnlattennet.model.config import NetworkConfig
from lnlattennet.model.names import OUTPUT_NAMES
from lnlattennet.model.network import LNLAttenNet

CONFIG = NetworkConfig(image_size=16, widths=(4,), channels=4, local_features=3, affinity_features=3, grid=2)
BATCH = BatchRange(1, 4, 9)
TOLERANCES = Tolerances(dict.fromkeys(OUTPUT_NAMES, 1e-4), dict.fromkeys(OUTPUT_NAMES, 0.0))
Faces = NDArray[np.float32]
Fault = Callable[[Arrays, Faces], None]


@pytest.fixture(scope="module")
def network() -> LNLAttenNet:
    torch.manual_seed(0)
    return LNLAttenNet(CONFIG).eval()


@pytest.fixture(scope="module")
def faces() -> Faces:
    return np.random.default_rng(0).standard_normal((20, 3, 16, 16)).astype(np.float32)


def check(network: LNLAttenNet, faces: Faces, fault: Fault | None = None) -> dict[str, OutputCheck]:
    def runner(inputs: Mapping[str, Faces]) -> Arrays:
        with torch.inference_mode():
            outputs = network(torch.from_numpy(inputs["image"]))
        arrays = {name: getattr(outputs, name).numpy().copy() for name in OUTPUT_NAMES}
        if fault:
            fault(arrays, inputs["image"])
        return arrays

    return check_engine(runner, torch_reference(network)(faces), faces, BATCH, TOLERANCES)


def test_the_same_network_passes(network: LNLAttenNet, faces: Faces) -> None:
    checks = check(network, faces)
    assert set(checks) == set(OUTPUT_NAMES)
    assert all(item.passed and item.max_abs <= 1e-5 for item in checks.values())


def only_at_five(arrays: Arrays, faces: Faces) -> None:
    if len(faces) == 5:
        arrays["logits"][3] += 0.01


def last_of_the_largest(arrays: Arrays, faces: Faces) -> None:
    if len(faces) == 9:
        arrays["region_weights"][8, 1] += 0.02


def first_image_for_all(arrays: Arrays, faces: Faces) -> None:
    for array in arrays.values():
        array[:] = array[:1]


def not_finite(arrays: Arrays, faces: Faces) -> None:
    arrays["region_affinity"][0, 0, 0] = np.nan


def transposed(arrays: Arrays, faces: Faces) -> None:
    arrays["region_affinity"] = arrays["region_affinity"].transpose(0, 2, 1)


def neighbour_leaks(arrays: Arrays, faces: Faces) -> None:
    arrays["logits"] += 0.01 * faces[0].mean()


def wrong_shape(arrays: Arrays, faces: Faces) -> None:
    arrays["logits"] = arrays["logits"][:, :-1]


@pytest.mark.parametrize(
    ("fault", "output", "batch", "sample"),
    [
        (only_at_five, "logits", 5, 3),
        (last_of_the_largest, "region_weights", 9, 8),
        (first_image_for_all, "logits", None, None),
        (not_finite, "region_affinity", 1, 0),
        (transposed, "region_affinity", None, None),
        (neighbour_leaks, "logits", None, None),
        (wrong_shape, "logits", 1, 0),
    ],
)
def test_a_fault_is_caught_and_located(
    network: LNLAttenNet, faces: Faces, fault: Fault, output: str, batch: int | None, sample: int | None
) -> None:
    checks = check(network, faces, fault)
    assert not checks[output].passed
    if batch is not None:
        assert (checks[output].batch, checks[output].sample) == (batch, sample)


def test_a_relative_tolerance_scales_with_the_value(network: LNLAttenNet, faces: Faces) -> None:
    reference = torch_reference(network)(faces)

    def runner(inputs: Mapping[str, Faces]) -> Arrays:
        return {name: array * 1.001 for name, array in torch_reference(network)(inputs["image"]).items()}

    atol = dict.fromkeys(OUTPUT_NAMES, 1e-6)
    for rtol, passed in ((2e-3, True), (5e-4, False)):
        tolerances = Tolerances(atol, dict.fromkeys(OUTPUT_NAMES, rtol))
        checks = check_engine(runner, reference, faces, BATCH, tolerances)
        assert all(item.passed is passed for item in checks.values())
