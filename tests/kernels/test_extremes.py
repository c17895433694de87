"""Values at the edges of their types, and what must not depend on anything else in the batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.kernels.support.cases import Case, Shape, make_inputs, make_mean, make_parameters, normal
from tests.kernels.support.checks import expected_gradients, expected_outputs, make_gradients, ops
from tests.kernels.support.comparison import assert_close, assert_same_bits, computing_error, values
from tests.kernels.support.layouts import CHANNELS_LAST, CONTIGUOUS, Layout, place
from tests.kernels.support.marks import every_device

every_layout = pytest.mark.parametrize("layout", [CONTIGUOUS, CHANNELS_LAST], ids=str)
every_type = pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64], ids=str
)
SHAPE = Shape(batch=3, grid=2, heads=2, channels=19, rows=3, columns=5)
BIG = 1e4


def scored_problem(scores: Tensor, dtype: torch.dtype, layout: Layout, device: str) -> tuple[Tensor, Tensor]:
    """Features and query whose scores <q, F_p> / sqrt(C) are exactly ``scores`` [rows, columns], C = 16.

    Channel 0 carries the scores; the other channels, which the query ignores, tell the positions apart.
    """
    rows, columns = scores.shape
    features = torch.arange(16 * rows * columns, dtype=torch.float64).remainder(64).view(1, 16, rows, columns)
    features[0, 0] = scores / 64
    query = torch.zeros(1, 1, 16, dtype=torch.float64)
    query[..., 0] = 64 * math.sqrt(16)
    return place(features.to(device, dtype), layout)[0], query.to(device, dtype)


@every_device
@every_layout
@every_type
@pytest.mark.parametrize(
    "scores",
    [
        [[BIG, -BIG, 0.0], [BIG - 64, 64.0, -64.0]],
        [[-BIG, -BIG, -BIG], [-BIG, -BIG, -BIG]],
        [[BIG, BIG, BIG], [BIG, BIG, BIG]],
        [[-BIG, -BIG, -BIG], [-BIG, -BIG, BIG]],
        [[-BIG, -BIG + 64, -BIG], [-BIG, -BIG, -BIG]],
    ],
    ids=["mixed", "all low", "all high", "last wins", "least low wins"],
)
def test_scores_of_ten_thousand_neither_overflow_nor_vanish(
    scores: list[list[float]], dtype: torch.dtype, layout: Layout, device: str
) -> None:
    features, query = scored_problem(torch.tensor(scores, dtype=torch.float64), dtype, layout, device)
    pooled, mean = ops.region_attention(features, query, 1)
    expected = expected_outputs(features, query, 1)
    for actual, array in zip((pooled, mean), expected, strict=True):
        assert_close(actual, array, dtype, computing_error(dtype), "output")
    gradients = torch.ones_like(pooled), torch.ones_like(mean)
    backward = ops.region_attention_backward(*gradients, features, query, 1)
    expected = expected_gradients(gradients, features, query, 1)
    for actual, array in zip(backward, expected, strict=True):
        # Where two large sums cancel, what is left is their rounding.
        assert_close(actual, array, dtype, BIG * computing_error(dtype), "gradient")


@every_device
@every_layout
@every_type
def test_equal_positions_share_the_attention_equally(dtype: torch.dtype, layout: Layout, device: str) -> None:
    shape = SHAPE
    point = normal(1, shape.batch, shape.channels, 1, 1).to(device, dtype)
    side = (shape.grid * shape.rows, shape.grid * shape.columns)
    features, _ = place(point.expand(-1, -1, *side), layout)
    query = normal(2, shape.grid**2, shape.heads, shape.channels).to(device, dtype)
    pooled, mean = ops.region_attention(features, query, shape.grid)
    expected = values(point).reshape(shape.batch, 1, 1, shape.channels)
    error = computing_error(dtype)
    assert_close(pooled, np.broadcast_to(expected, pooled.shape), dtype, error, "pooled")
    assert_close(mean, np.broadcast_to(expected[:, 0], mean.shape), dtype, error, "mean")


@every_device
@every_layout
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_are_summed_in_a_wider_one(dtype: torch.dtype, layout: Layout, device: str) -> None:
    """A sum of 225 large values overflows float16, and one of 225 small ones stalls in bfloat16."""
    for value in (60000.0, 1.0 + 2.0**-7):
        features, _ = place(torch.full((1, 3, 15, 15), value, device=device).to(dtype), layout)
        query = torch.zeros(1, 1, 3, device=device)
        pooled, mean = ops.region_attention(features, query, 1)
        for actual in (pooled, mean):
            np.testing.assert_array_equal(values(actual), float(features.flatten()[0]))


@every_device
@every_layout
@every_type
def test_numbers_below_the_smallest_normal_one_are_kept(
    dtype: torch.dtype, layout: Layout, device: str
) -> None:
    """Numbers that are up to 300 times the smallest one, which every product and sum is rounded to."""
    limits = torch.finfo(dtype)
    smallest = limits.smallest_normal * limits.eps
    steps = torch.randint(1, 300, (2, 9, 4, 6), generator=torch.Generator().manual_seed(3))
    features, _ = place((steps.double() * smallest).to(dtype).to(device), layout)
    expected = steps.double().view(2, 9, 2, 2, 2, 3).mean(dim=(3, 5)).flatten(2).mT
    query = torch.zeros(4, 1, 9, dtype=dtype, device=device)
    pooled, mean = ops.region_attention(features, query, 2)
    np.testing.assert_allclose(values(mean) / smallest, expected, rtol=0, atol=1.01)
    # Six products, each off by up to half the smallest number, and the result.
    np.testing.assert_allclose(values(pooled)[:, :, 0] / smallest, expected, rtol=0, atol=4)


def region_outputs(case: Case, device: str, poison: dict[tuple[int, int, int, int], float]) -> list[Tensor]:
    """Outputs and gradients with some features replaced."""
    features, query, grid, _ = make_inputs(case, device)
    for place_, value in poison.items():
        features[place_] = value
    gradients = make_gradients(case, device)
    forward = ops.region_attention(features, query, grid)
    return [*forward, *ops.region_attention_backward(*gradients, features, query, grid)]


@every_device
@every_layout
@every_type
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
def test_what_is_not_finite_stays_in_its_region(
    value: float, dtype: torch.dtype, layout: Layout, device: str
) -> None:
    case = Case(SHAPE, dtype, dtype, layout)
    image, channel, region = 1, 7, 2
    y, x = SHAPE.rows + 1, 3  # region 2 is the lower left one
    clean = region_outputs(case, device, {})
    pooled, mean, grad_features, grad_query = region_outputs(case, device, {(image, channel, y, x): value})

    np.testing.assert_array_equal(values(mean[image, region, channel]), value)
    assert not pooled[image, region, :, channel].isfinite().any()
    if math.isnan(value):
        assert bool(pooled[image, region].isnan().all())
        assert bool(grad_query[region].isnan().all())
        lower_left = grad_features[image, :, SHAPE.rows :, : SHAPE.columns]
        assert bool(lower_left.isnan().all())

    repaired = [pooled, mean, grad_features, grad_query]
    for tensor, good in zip(repaired[:2], clean[:2], strict=True):
        where = (image, region) if tensor.dim() == 4 else (image, region, ..., channel)
        tensor[where] = good[where]
    grad_features[image, :, SHAPE.rows :, : SHAPE.columns] = clean[2][image, :, SHAPE.rows :, : SHAPE.columns]
    grad_query[region] = clean[3][region]
    for what, tensor, good in zip(
        ("pooled", "mean", "grad_features", "grad_query"), repaired, clean, strict=True
    ):
        assert_same_bits(tensor, good, f"{what} outside the region")


@every_device
@every_layout
@every_type
def test_an_infinity_that_gets_no_weight_costs_its_own_channel_only(
    dtype: torch.dtype, layout: Layout, device: str
) -> None:
    features, query = normal(1, 1, 35, 6, 4).to(device, dtype), normal(2, 1, 2, 35).to(device, dtype)
    features[0, 7, 1, 2] = math.inf
    query[..., 7] = -1  # its score is -inf
    pooled, _ = ops.region_attention(place(features, layout)[0], query, 1)
    lost = (~pooled.isfinite()).nonzero()
    assert lost.tolist() == [[0, 0, 0, 7], [0, 0, 1, 7]]


@every_device
@every_layout
def test_float64_scores_may_lie_far_below_those_of_float32(layout: Layout, device: str) -> None:
    features, _ = place(torch.full((1, 5, 4, 4), 1e30, dtype=torch.float64, device=device), layout)
    query = torch.full((4, 1, 5), -1e20, dtype=torch.float64, device=device)
    pooled, mean = ops.region_attention(features, query, 2)
    gradients = torch.ones_like(pooled), torch.ones_like(mean)
    backward = ops.region_attention_backward(*gradients, features, query, 2)
    np.testing.assert_allclose(values(pooled), 1e30)
    assert all(bool(gradient.isfinite().all()) for gradient in backward)


@every_device
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_nan_in_a_mean_reaches_its_own_image_only(dtype: torch.dtype, device: str) -> None:
    case = Case(SHAPE, dtype, dtype)
    mean, parameters = make_mean(case, device), make_parameters(case, device)
    clean = ops.nonlocal_attention(mean, *parameters)
    mean[1, 2, 3] = math.nan
    for actual, good in zip(ops.nonlocal_attention(mean, *parameters), clean, strict=True):
        assert bool(actual[1].isnan().any())
        for image in (0, 2):
            assert_same_bits(actual[image], good[image], "another image")


def assert_same(actual: Sequence[Tensor], expected: Sequence[Tensor], what: str) -> None:
    for tensor, same in zip(actual, expected, strict=True):
        assert_same_bits(tensor, same, what)


def joint(case: Case, features: Tensor, query: Tensor, grid: int, device: str) -> list[Tensor]:
    """Everything that has one entry per image: all outputs, and the gradient of the features."""
    outputs = ops.local_nonlocal_attention(features, query, grid, *make_parameters(case, device))
    gradients = [torch.ones_like(output) for output in outputs[:2]]
    return [*outputs, ops.region_attention_backward(*gradients, features, query, grid)[0]]


@every_device
@every_layout
@every_type
def test_the_order_of_a_batch_does_not_matter(dtype: torch.dtype, layout: Layout, device: str) -> None:
    case = Case(SHAPE._replace(batch=5), dtype, dtype, layout)
    features, query, grid, _ = make_inputs(case, device)
    order = torch.tensor([3, 0, 4, 1, 2], device=device)
    shuffled, _ = place(features[order], layout)
    expected = [output[order] for output in joint(case, features, query, grid, device)]
    assert_same(joint(case, shuffled, query, grid, device), expected, "of a shuffled batch")


@every_layout
@every_type
def test_an_image_alone_gives_what_it_gives_in_a_batch(dtype: torch.dtype, layout: Layout) -> None:
    """Bit for bit on the CPU; a GPU may choose another kernel for another batch size."""
    case = Case(SHAPE._replace(batch=5), dtype, dtype, layout)
    features, query, grid, _ = make_inputs(case, "cpu")
    together = joint(case, features, query, grid, "cpu")
    for image in range(5):
        alone = joint(case, features[image : image + 1], query, grid, "cpu")
        assert_same(alone, [output[image : image + 1] for output in together], f"image {image} alone")


@every_device
@every_layout
@every_type
def test_the_same_question_gets_the_same_answer(dtype: torch.dtype, layout: Layout, device: str) -> None:
    case = Case(Shape(6, 4, 2, 64, 14, 14, width=16), dtype, dtype, layout)
    features, query, grid, _ = make_inputs(case, device)
    gradients = make_gradients(case, device)
    first = joint(case, features, query, grid, device)
    backward = ops.region_attention_backward(*gradients, features, query, grid)
    for _ in range(3):
        assert_same(joint(case, features, query, grid, device), first, "again")
        again = ops.region_attention_backward(*gradients, features, query, grid)
        assert_same(again, backward, "backward again")
