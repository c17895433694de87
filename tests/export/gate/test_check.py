"""The gate lets through what equals the reference and nothing else, in every precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lnlattennet.bundle._manifest import Check
from lnlattennet.export.gate._check import check_engine
from lnlattennet.export.gate._limits import default_limits, failure_text
from lnlattennet.export.gate._metrics import Limits
from lnlattennet.export.gate._verification import torch_reference
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._io_spec import OUTPUT_NAMES
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.runtimes._base import Arrays, BatchRange, Runner
from lnlattennet.runtimes._precision import PRECISIONS

CONFIG = NetworkConfig(image_size=16, widths=(4,), channels=4, local_features=3, affinity_features=3, grid=2)
BATCH = BatchRange(1, 4, 9)
Faces = NDArray[np.float32]
Fault = Callable[[Arrays, Faces], None]
FACES = np.random.default_rng(0).standard_normal((20, 3, 16, 16)).astype(np.float32)
# Sorted by their first value, by which they are recognized.
FACES = FACES[np.argsort(FACES[:, 0, 0, 0])]


@pytest.fixture(scope="module")
def network() -> LNLAttenNet:
    torch.manual_seed(0)
    network = LNLAttenNet(CONFIG).eval()
    with torch.no_grad():
        # Regions that differ: an affinity that is nearly uniform is nearly its own transpose.
        network.nonlocal_attention.position.mul_(150)
        network.nonlocal_attention.query.weight.mul_(6)
    return network


@pytest.fixture(scope="module")
def reference(network: LNLAttenNet) -> Arrays:
    return torch_reference(network)(FACES)


def engine(reference: Arrays, fault: Fault | None = None) -> Runner:
    """An engine that gives every face the reference's answer, but for the fault."""

    def runner(inputs: Mapping[str, Faces]) -> Arrays:
        faces = inputs["image"]
        known = np.searchsorted(FACES[:, 0, 0, 0], faces[:, 0, 0, 0])
        arrays = {name: reference[name][known] for name in OUTPUT_NAMES}
        if fault:
            fault(arrays, faces)
        return arrays

    return runner


def failed(checks: list[Check]) -> dict[tuple[str, str], Check]:
    return {(check.metric, check.output): check for check in checks if not check.passed}


def test_the_same_network_in_batches_passes_every_metric(network: LNLAttenNet, reference: Arrays) -> None:
    def runner(inputs: Mapping[str, Faces]) -> Arrays:
        with torch.inference_mode():
            outputs = network(torch.from_numpy(inputs["image"]))
        return {name: getattr(outputs, name).numpy() for name in OUTPUT_NAMES}

    checks = check_engine(runner, reference, FACES, BATCH, default_limits("fp32"))
    assert all(check.passed for check in checks)
    assert failure_text(checks) == ""
    assert {(check.metric, check.output) for check in checks} == {
        *(("max_abs", name) for name in OUTPUT_NAMES),
        *(("cosine", name) for name in OUTPUT_NAMES),
        *(("permutation", name) for name in OUTPUT_NAMES),
        ("kl", "logits"),
        ("top1_agreement", "logits"),
        ("top3_overlap", "region_weights"),
        ("sum", "region_weights"),
        ("sum", "region_affinity"),
    }


def only_at_five(arrays: Arrays, faces: Faces) -> None:
    if len(faces) == 5:
        arrays["logits"][3] += 0.01


def last_of_the_largest(arrays: Arrays, faces: Faces) -> None:
    if len(faces) == 9:
        arrays["region_weights"][8, 1] += 0.02


def first_image_for_all(arrays: Arrays, faces: Faces) -> None:
    for array in arrays.values():
        array[:] = array[:1]


def places_swapped(arrays: Arrays, faces: Faces) -> None:
    arrays["logits"][:2] = arrays["logits"][:2][::-1].copy()


def transposed(arrays: Arrays, faces: Faces) -> None:
    arrays["region_affinity"] = arrays["region_affinity"].transpose(0, 2, 1).copy()


def neighbor_leaks(arrays: Arrays, faces: Faces) -> None:
    arrays["logits"] += 0.01 * faces[0].mean()


def next_neighbor_leaks(arrays: Arrays, faces: Faces) -> None:
    arrays["region_weights"] += 1e-3 * np.roll(faces, -1, axis=0).mean(axis=(1, 2, 3))[:, None]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("fault", "metric", "output", "batch"),
    [
        (only_at_five, "permutation", "logits", 5),
        (last_of_the_largest, "permutation", "region_weights", 9),
        (last_of_the_largest, "sum", "region_weights", 9),
        (first_image_for_all, "permutation", "logits", None),
        (first_image_for_all, "permutation", "region_affinity", None),
        (places_swapped, "permutation", "logits", None),
        (transposed, "sum", "region_affinity", None),
        (neighbor_leaks, "permutation", "logits", None),
        (next_neighbor_leaks, "permutation", "region_weights", None),
    ],
)
def test_a_fault_is_caught_and_located(
    reference: Arrays,
    precision: str,
    fault: Fault,
    metric: str,
    output: str,
    batch: int | None,
) -> None:
    checks = check_engine(engine(reference, fault), reference, FACES, BATCH, default_limits(precision))
    check = failed(checks)[metric, output]
    assert batch is None or check.batch == batch
    assert check.sample is not None
    assert f"{output} " in failure_text(checks)


def test_a_wrong_region_of_one_face_is_named(reference: Arrays) -> None:
    def fault(arrays: Arrays, faces: Faces) -> None:
        row = np.flatnonzero((faces == FACES[13]).all(axis=(1, 2, 3)))
        arrays["region_weights"][row, 2] += 0.3
        arrays["region_weights"][row, 0] -= 0.1
        arrays["region_affinity"][row, 1, 3] += 0.5

    for precision in PRECISIONS:
        checks = check_engine(engine(reference, fault), reference, FACES, BATCH, default_limits(precision))
        found = failed(checks)
        assert {output for _, output in found} == {"region_weights", "region_affinity"}
        for (_, output), check in found.items():
            assert (check.sample, check.region) == (13, 2 if output == "region_weights" else 1)
    text = failure_text(checks)
    assert text.startswith("failed the gate: region_weights has cosine 0.")
    assert "0.95 needed (worst at batch 4, sample 13, region 2); " in text
    assert "region_affinity has a sum that is 0.5 from 1, " in text
    assert text.endswith("allowed (worst at batch 4, sample 13, region 1)")


def missing(arrays: Arrays, faces: Faces) -> None:
    del arrays["region_weights"]


def wrong_shape(arrays: Arrays, faces: Faces) -> None:
    arrays["logits"] = arrays["logits"][:, :-1]


def another_batch(arrays: Arrays, faces: Faces) -> None:
    arrays["logits"] = arrays["logits"][:1].repeat(len(faces) + 1, axis=0)


def double(arrays: Arrays, faces: Faces) -> None:
    arrays["logits"] = arrays["logits"].astype(np.float64)


def not_finite(arrays: Arrays, faces: Faces) -> None:
    arrays["region_affinity"][0, 0, 0] = np.nan


def overflow_at_nine(arrays: Arrays, faces: Faces) -> None:
    if len(faces) == 9:
        arrays["logits"][2, 0] = np.inf


@pytest.mark.parametrize(
    ("fault", "metric", "output", "batch", "words"),
    [
        (missing, "missing", "region_weights", 1, "region_weights is missing"),
        (wrong_shape, "shape", "logits", 1, "logits has another shape than the checkpoint's"),
        (another_batch, "shape", "logits", 1, "another shape"),
        (double, "dtype", "logits", 1, "logits is not float32"),
        (not_finite, "finite", "region_affinity", 1, "holds numbers that are not finite"),
        (overflow_at_nine, "finite", "logits", 9, "not finite (worst at batch 9"),
    ],
)
def test_an_output_of_the_wrong_form_never_passes(
    reference: Arrays,
    fault: Fault,
    metric: str,
    output: str,
    batch: int,
    words: str,
) -> None:
    checks = check_engine(engine(reference, fault), reference, FACES, BATCH, off(default_limits("int8")))
    found = failed(checks)
    assert list(found) == [(metric, output)]
    assert found[metric, output].batch == batch
    assert words in failure_text(checks)
    assert all(np.isfinite(check.value) for check in checks)


def off(limits: Limits) -> Limits:
    """Require nothing at all."""
    return {name: dict.fromkeys(values, 0.0 if name == "rtol" else None) for name, values in limits.items()}


def test_rounded_answers_pass_in_their_precision_only(reference: Arrays) -> None:
    def rounded(arrays: Arrays, faces: Faces) -> None:
        for name, array in arrays.items():
            arrays[name] = array.astype(np.float16).astype(np.float32)

    runner = engine(reference, rounded)
    assert not failed(check_engine(runner, reference, FACES, BATCH, default_limits("fp16")))
    found = failed(check_engine(runner, reference, FACES, BATCH, default_limits("fp32")))
    assert ("max_abs", "region_weights") in found


def test_a_relative_tolerance_scales_with_the_value(reference: Arrays) -> None:
    def scaled(arrays: Arrays, faces: Faces) -> None:
        arrays["logits"] *= np.float32(1.001)

    zero = dict.fromkeys(OUTPUT_NAMES, 0.0)
    for atol, rtol, passed in (
        (1e-6, 2e-3, True),
        (1e-6, 5e-4, False),
        (None, 2e-3, True),
        (None, 5e-4, False),
    ):
        limits = {
            **off(default_limits("int8")),
            "atol": dict.fromkeys(OUTPUT_NAMES) | {"logits": atol},
            "rtol": zero | {"logits": rtol},
        }
        checks = check_engine(engine(reference, scaled), reference, FACES, BATCH, limits)
        assert ({("max_abs", "logits")} == set(failed(checks))) is not passed


def test_half_of_the_faces_answered_otherwise_fails_on_agreement(reference: Arrays) -> None:
    def fault(arrays: Arrays, faces: Faces) -> None:
        for row, index in enumerate(np.searchsorted(FACES[:, 0, 0, 0], faces[:, 0, 0, 0])):
            if index % 2:
                arrays["logits"][row] = -reference["logits"][index]

    checks = check_engine(engine(reference, fault), reference, FACES, BATCH, default_limits("int8"))
    assert failed(checks)["top1_agreement", "logits"].value == 0.5
    text = failure_text(checks)
    assert "the checkpoint's answer for a share of 0.5 of the faces, 0.99 needed" in text
