"""The gate lets an engine through that equals the reference, and shows it every face at bounded cost."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lnlattennet.export.gate._check import check_engine
from lnlattennet.export.gate._limits import LIMITS, default_limits, failure_text
from lnlattennet.export.gate._metrics import Limits
from lnlattennet.runtimes._base import Arrays, BatchRange

Faces = NDArray[np.float32]


def test_every_face_is_seen_at_the_optimum_and_the_cost_is_bounded() -> None:
    rng = np.random.default_rng(1)
    faces = rng.standard_normal((256, 1)).astype(np.float32)
    reference = exact_answers(faces)
    sizes: list[int] = []
    seen: set[float] = set()

    def runner(inputs: Mapping[str, Faces]) -> Arrays:
        sizes.append(len(inputs["image"]))
        if len(inputs["image"]) == 8:
            seen.update(inputs["image"][:, 0].tolist())
        return exact_answers(inputs["image"])

    checks = check_engine(runner, reference, faces, BatchRange(1, 8, 64), default_limits("fp32"))
    assert all(check.passed for check in checks)
    assert seen == set(faces[:, 0].tolist())
    assert set(sizes) == {1, 2, 3, 4, 5, 8, 16, 32, 64}
    assert sum(sizes) <= 2.6 * len(faces)


def exact_answers(faces: Faces) -> Arrays:
    """Answers of 7 classes and 4 regions that depend on a face's first number only, the sums 1."""
    seed = faces.reshape(len(faces), -1)[:, :1]
    weights = np.concatenate([seed * 0 + 0.5, seed * 0 + 0.25, seed * 0 + 0.125, seed * 0 + 0.125], axis=1)
    return {
        "logits": np.sin(seed * np.arange(1, 8, dtype=np.float32)) * 9,
        "region_weights": weights,
        "region_affinity": np.repeat(weights[:, None], 4, axis=1),
    }


bound = st.floats(0, 1) | st.none()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limits=st.fixed_dictionaries(
        {
            name: st.fixed_dictionaries(dict.fromkeys(outputs, st.floats(0, 1) if name == "rtol" else bound))
            for name, (_, outputs) in LIMITS.items()
        }
    ),
    sizes=st.lists(st.integers(1, 12), min_size=3, max_size=3).map(sorted),
    faces=st.integers(1, 9),
    seed=st.integers(0, 2**16),
)
def test_an_engine_equal_to_the_reference_passes_whatever_the_limits(
    limits: Limits, sizes: list[int], faces: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((faces, 2)).astype(np.float32)
    checks = check_engine(
        lambda inputs: exact_answers(inputs["image"]),
        exact_answers(images),
        images,
        BatchRange(*sizes),
        limits,
    )
    assert all(check.passed for check in checks), failure_text(checks)
