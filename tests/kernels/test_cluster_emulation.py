"""The cluster kernels (sm_90 and later) on an emulated GPU, against the float64 oracle.

The emulation lets threads and bulk copies proceed in an order drawn from a seed, fills shared memory with NaN
and reports deadlocks: a missing barrier, a wrong phase or an early exit shows, a missing fence does not.
"""

from __future__ import annotations

from itertools import cycle

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.kernels.cuda_emulation.emulator import FORWARD, Device, EmulationError, Emulator, Launch
from tests.kernels.support import oracle
from tests.kernels.support.cases import Case, Shape, make_inputs, make_parameters
from tests.kernels.support.comparison import assert_close, computing_error, values
from tests.kernels.support.layouts import CHANNELS_LAST, CONTIGUOUS, Layout
from tests.kernels.support.marks import first, slow

pytestmark = [slow, pytest.mark.timeout(900)]

HOPPER = Device(capability=90, processors=132, shared_bytes=227 * 1024)
# A ring of so little memory that every tile goes round it several times.
SMALL = Device(capability=90, processors=132, shared_bytes=64 * 1024)
VARIANTS = ["cluster_bands", "cluster_regions"]
DENSE = Layout("channels_last", "bhwc")
LAYOUTS = [
    CHANNELS_LAST,
    Layout("padded-rows", "bhwc", after={"w": 3}),
    Layout("every-second-image-and-row", "bhwc", step={"b": 2, "h": 2}),
    Layout("expanded-batch", "bhwc", expanded="b"),
    Layout("expanded-rows", "bhwc", expanded="h"),
]
TYPES = [
    (torch.float16, torch.float32),
    (torch.float32, torch.float32),
    (torch.bfloat16, torch.bfloat16),
    (torch.float16, torch.float16),
    (torch.bfloat16, torch.float32),
]
# Channels that fill no, one or several vectors of a lane; one position; a width narrower than the cluster,
# one whose last block has no rows, weights too large to be brought into shared memory.
SHAPES = [
    Shape(1, 4, 1, 64, 7, 6, width=32),
    Shape(1, 4, 2, 128, 3, 4, width=20),
    Shape(2, 3, 1, 256, 2, 5, width=8),
    Shape(2, 2, 2, 8, 5, 9, width=5),
    Shape(1, 1, 2, 64, 6, 7, width=12),
    Shape(3, 2, 1, 24, 1, 1, width=3),
    Shape(1, 3, 4, 40, 9, 2, width=2),
    Shape(1, 2, 1, 512, 3, 3, width=64),
]


def outputs(
    emulator: Emulator,
    case: Case,
    variant: str,
    *,
    with_nonlocal: bool = True,
    seed: int = 0,
    device: Device = HOPPER,
    features: Tensor | None = None,
) -> list[Tensor]:
    """pooled, mean, weights, affinity and context in their shapes; the last three are empty without it."""
    shape, regions = case.shape, case.shape.grid**2
    inputs = make_inputs(case, "cpu")
    arrays = [inputs.features if features is None else features, inputs.query.contiguous()]
    arrays += make_parameters(case, "cpu") if with_nonlocal else []
    width = shape.width if with_nonlocal else 0
    actual = emulator.run(
        Launch(FORWARD, arrays, shape.grid, shape.heads, width, variant=variant, seed=seed, device=device)
    )
    batch = shape.batch if with_nonlocal else 0
    sizes = [
        (shape.batch, regions, shape.heads, shape.channels),
        (shape.batch, regions, shape.channels),
        (batch, regions),
        (batch, regions, regions),
        (batch, width),
    ]
    return [tensor.view(size) for tensor, size in zip(actual, sizes, strict=True)]


def check(actual: list[Tensor], case: Case, *, with_nonlocal: bool) -> None:
    inputs = make_inputs(case, "cpu")
    pooled, mean = oracle.region_attention(values(inputs.features), values(inputs.query), inputs.grid)
    error = computing_error(case.features)
    assert_close(actual[0], pooled, case.features, error, "pooled")
    assert_close(actual[1], mean, case.features, error, "mean")
    if with_nonlocal:
        expected = oracle.nonlocal_attention(
            mean, oracle.NonlocalParameters(*map(values, make_parameters(case, "cpu")))
        )
        for tensor, array, name in zip(actual[2:], expected, expected._fields, strict=True):
            assert_close(tensor, array, case.parameters, error, name)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shape", first(3, SHAPES), ids=lambda shape: "x".join(map(str, shape)))
def test_a_cluster_computes_what_the_equations_say(emulator: Emulator, shape: Shape, variant: str) -> None:
    for number, types in enumerate(TYPES[:3]):
        case = Case(shape, *types, DENSE, sharpness=2.0, seed=2 * number)
        check(outputs(emulator, case, variant, seed=number), case, with_nonlocal=True)


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_nonlocal_attention_only_regions_are_pooled(emulator: Emulator, variant: str) -> None:
    for shape, types in zip(SHAPES, cycle(TYPES), strict=False):
        case = Case(shape, *types, DENSE, seed=4)
        check(outputs(emulator, case, variant, with_nonlocal=False), case, with_nonlocal=False)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("layout", first(2, LAYOUTS), ids=str)
def test_rows_and_images_may_lie_anywhere(emulator: Emulator, layout: Layout, variant: str) -> None:
    for features, parameters in TYPES[:2]:
        case = Case(Shape(2, 2, 1, 64, 5, 6, width=9), features, parameters, layout, seed=6)
        check(outputs(emulator, case, variant), case, with_nonlocal=True)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("layout", first(1, LAYOUTS[:2]), ids=str)
def test_a_tile_goes_round_the_ring_many_times(emulator: Emulator, layout: Layout, variant: str) -> None:
    for rows, columns in [(24, 24), (25, 23)]:  # 6 to 12 times round
        case = Case(Shape(1, 2, 1, 64, rows, columns, width=8), torch.float32, torch.float32, layout, seed=8)
        check(outputs(emulator, case, variant, device=SMALL), case, with_nonlocal=True)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_order_of_threads_and_copies_changes_no_bit(emulator: Emulator, variant: str) -> None:
    case = Case(Shape(2, 2, 2, 64, 9, 7, width=10), torch.float16, torch.float16, DENSE, sharpness=3.0)
    first = outputs(emulator, case, variant, device=SMALL)
    check(first, case, with_nonlocal=True)
    for seed in range(1, 12):
        again = outputs(emulator, case, variant, seed=seed, device=SMALL)
        assert all(torch.equal(tensor, other) for tensor, other in zip(first, again, strict=True))


@pytest.mark.parametrize("variant", VARIANTS)
def test_nan_stays_in_its_region_and_the_mean_in_its_channel(emulator: Emulator, variant: str) -> None:
    case = Case(Shape(2, 2, 2, 24, 5, 3), torch.float16, torch.float32, DENSE, seed=2)
    features = make_inputs(case, "cpu").features
    clean = outputs(emulator, case, variant, with_nonlocal=False, features=features)
    features[1, 5, 2, 4] = float("nan")  # image 1, channel 5, region 1
    pooled, mean = outputs(emulator, case, variant, with_nonlocal=False, features=features)[:2]
    assert pooled[1, 1].isnan().all()
    assert mean[1, 1, 5].isnan()
    pooled[1, 1], mean[1, 1, 5] = clean[0][1, 1], clean[1][1, 1, 5]
    assert torch.equal(pooled, clean[0])
    assert torch.equal(mean, clean[1])


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_infinity_that_gets_no_weight_costs_its_own_channel_only(emulator: Emulator, variant: str) -> None:
    """24 channels leave lanes without any; channel 0 is the one that such lanes might read."""
    case = Case(Shape(1, 2, 1, 24, 2, 2), torch.float32, torch.float32, DENSE, seed=2)
    inputs = make_inputs(case, "cpu")
    inputs.features[0, 0, 0, 0] = -float("inf") * inputs.query[0, 0, 0].sign()
    pooled = outputs(emulator, case, variant, with_nonlocal=False, features=inputs.features)[0]
    assert (~pooled.isfinite()).nonzero().tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize("variant", VARIANTS)
def test_scores_of_ten_thousand_do_not_overflow(emulator: Emulator, variant: str) -> None:
    case = Case(Shape(1, 2, 1, 64, 6, 5), torch.float32, torch.float32, DENSE, sharpness=4000.0, seed=10)
    inputs = make_inputs(case, "cpu")
    pooled = outputs(emulator, case, variant)[0]
    assert pooled.isfinite().all()
    expected = oracle.region_attention(values(inputs.features), values(inputs.query), inputs.grid)[0]
    np.testing.assert_allclose(values(pooled), expected, atol=2e-2)  # scores of 1e4 have an error of 1e-3


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("shape", "layout", "device"),
    [
        (Shape(1, 2, 1, 6, 3, 3), DENSE, HOPPER),  # rows that are no multiple of 16 bytes
        (Shape(1, 2, 1, 8, 3, 3), Layout("misaligned", "bhwc", offset=65), HOPPER),
        (Shape(1, 2, 1, 8, 3, 3), Layout("channel-slice", "bhwc", after={"c": 8}), HOPPER),
        (Shape(1, 2, 1, 8, 3, 3), CONTIGUOUS, HOPPER),
        (Shape(1, 2, 1, 520, 2, 2), DENSE, HOPPER),  # more channels than lanes hold
        (Shape(1, 9, 1, 8, 1, 1), DENSE, HOPPER),  # more tiles than a cluster holds
        (Shape(1, 2, 17, 8, 2, 2), DENSE, HOPPER),  # more heads than warps
        (Shape(1, 2, 1, 8, 3, 3), DENSE, Device(capability=89, shared_bytes=227 * 1024)),
        (Shape(1, 2, 1, 64, 3, 3), DENSE, Device(capability=90, shared_bytes=16 * 1024)),
    ],
)
def test_what_clusters_cannot_do_is_refused_and_done_without(
    emulator: Emulator, variant: str, shape: Shape, layout: Layout, device: Device
) -> None:
    case = Case(shape, torch.float16, torch.float32, layout)
    with pytest.raises(EmulationError, match="cluster"):
        outputs(emulator, case, variant, device=device)
    check(outputs(emulator, case, "automatic", with_nonlocal=False, device=device), case, with_nonlocal=False)
