"""Shapes, types and memory layouts drawn by hypothesis, compared with the plain loops."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.support.cases import DTYPES, NONLOCAL_DTYPES, Case, Shape
from tests.kernels.support.checks import (
    check_local_nonlocal_attention,
    check_nonlocal_gradients,
    check_region_attention,
    check_region_attention_backward,
)
from tests.kernels.support.layouts import LAYOUTS, Layout
from tests.kernels.support.marks import every_device

# The loops take a microsecond or two per position and head; larger cells get smaller batches.
LOOPS = 3000


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    grid, heads = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    rows, columns = draw(st.integers(1, 15)), draw(st.integers(1, 15))
    largest = max(1, min(5, LOOPS // (grid**2 * heads * rows * columns)))
    return Shape(
        batch=draw(st.integers(0, largest)),
        grid=grid,
        heads=heads,
        channels=draw(st.integers(1, 130)),
        rows=rows,
        columns=columns,
        width=draw(st.integers(1, 40)),
    )


@st.composite
def drawn_layouts(draw: st.DrawFn) -> Layout:
    """Any order of the dimensions, gaps, one stride of two, one of zero, any alignment."""
    gaps = st.dictionaries(st.sampled_from("bchw"), st.integers(1, 3), max_size=3)
    return Layout(
        "drawn",
        order="".join(draw(st.permutations("bchw"))),
        before=draw(gaps),
        after=draw(gaps),
        step=draw(st.dictionaries(st.sampled_from("bchw"), st.just(2), max_size=1)),
        expanded=draw(st.sampled_from(["", "", "", "b", "c", "h", "w"])),
        offset=draw(st.integers(0, 70)),
    )


def cases(dtypes: list[tuple[torch.dtype, torch.dtype]]) -> st.SearchStrategy[Case]:
    return st.builds(
        lambda shape, dtypes, *rest: Case(shape, *dtypes, *rest),
        shapes(),
        st.sampled_from(dtypes),
        st.sampled_from(LAYOUTS) | drawn_layouts(),
        st.sampled_from([0.0, 1.0, 4.0]),
        st.integers(0, 2**20),
    )


@every_device
@given(case=cases(DTYPES))
@settings(max_examples=100, deadline=None)
def test_region_attention_equals_plain_loops(device: str, case: Case) -> None:
    check_region_attention(case, device)


@every_device
@given(case=cases(DTYPES))
@settings(max_examples=100, deadline=None)
def test_the_backward_op_equals_plain_loops(device: str, case: Case) -> None:
    check_region_attention_backward(case, device)


@every_device
@given(case=cases(NONLOCAL_DTYPES))
@settings(max_examples=60, deadline=None)
def test_local_nonlocal_attention_equals_plain_loops(device: str, case: Case) -> None:
    check_local_nonlocal_attention(case, device)


@every_device
@given(case=cases(NONLOCAL_DTYPES))
@settings(max_examples=60, deadline=None)
def test_gradients_of_nonlocal_attention_equal_plain_loops(device: str, case: Case) -> None:
    check_nonlocal_gradients(case, device)
