"""Invalid arguments are refused by the compiled ops and by the reference: rule and value in the message.

Both implement the rules (kernels/csrc/torch/arguments.h, kernels/_checks.py). The test of a rule runs on
both, so neither can lack it or word it differently.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lnlattennet.kernels import _reference as reference
from tests.kernels.support.checks import ops
from tests.kernels.support.marks import every_device

every_implementation = pytest.mark.parametrize("implementation", ["op", "reference"])
REFERENCES: dict[str, Callable[..., Any]] = {
    "region_attention": reference.region_attention,
    "region_attention_backward": reference.region_attention_backward,
    "nonlocal_attention": reference.nonlocal_attention,
    "local_nonlocal_attention": reference.local_nonlocal_attention,
}
# Two images, three channels, a 2x2 grid of 2x3 cells, one head, a non-local width of 5.
REGION: dict[str, Any] = {"features": torch.zeros(2, 3, 4, 6), "query": torch.zeros(4, 1, 3), "grid": 2}
NONLOCAL: dict[str, Any] = {
    "position": torch.zeros(4, 3),
    **{name: torch.zeros(5, 3) for name in ("query_weight", "key_weight", "value_weight")},
    **{name: torch.zeros(5) for name in ("value_bias", "score_weight")},
}
GRADIENTS: dict[str, Any] = {"grad_pooled": torch.zeros(2, 4, 1, 3), "grad_mean": torch.zeros(2, 4, 3)}
ARGUMENTS = {
    "region_attention": REGION,
    "region_attention_backward": GRADIENTS | REGION,
    "nonlocal_attention": {"mean": torch.zeros(2, 4, 3)} | NONLOCAL,
    "local_nonlocal_attention": REGION | NONLOCAL,
}
WITH_FEATURES = ["region_attention", "region_attention_backward", "local_nonlocal_attention"]
WITH_NONLOCAL = ["nonlocal_attention", "local_nonlocal_attention"]


def call(implementation: str, op: str, device: str, **changed: Any) -> Any:
    function = getattr(ops, op) if implementation == "op" else REFERENCES[op]
    arguments = (ARGUMENTS[op] | changed).values()
    return function(*(value.to(device) if isinstance(value, Tensor) else value for value in arguments))


def assert_refused(implementation: str, op: str, device: str, rule: str, **changed: Any) -> None:
    """``rule``: a regular expression of the message."""
    # What a C++ check raises becomes a RuntimeError.
    errors = ValueError if implementation == "reference" else (RuntimeError, ValueError)
    with pytest.raises(errors, match=rule):
        call(implementation, op, device, **changed)


@pytest.mark.parametrize("kind", ["sparse", "mkldnn"])
def test_only_dense_tensors_are_taken(kind: str) -> None:
    """Also once the compiled kernels are there: those are registered for dense tensors alone."""
    features, query = REGION["features"], REGION["query"]
    ops.region_attention(features, query, 2)
    packed = features.to_sparse() if kind == "sparse" else features.to_mkldnn()
    with pytest.raises(ValueError, match=r"takes dense tensors, got one of torch\."):
        ops.region_attention(packed, query, 2)


@every_device
@every_implementation
@pytest.mark.parametrize("op", ARGUMENTS)
def test_arguments_that_fit_are_taken(op: str, implementation: str, device: str) -> None:
    assert all(bool(output.isfinite().all()) for output in call(implementation, op, device))


@every_device
@every_implementation
@pytest.mark.parametrize("op", WITH_FEATURES)
@pytest.mark.parametrize(
    ("shape", "rule"),
    [
        ((3, 4, 6), r"features must be \[B, C, H, W\], got \[3, 4, 6\]"),
        ((1, 2, 3, 4, 6), r"features must be \[B, C, H, W\], got \[1, 2, 3, 4, 6\]"),
        ((2, 0, 4, 6), r"features must have channels and positions, got \[2, 0, 4, 6\]"),
        ((2, 3, 0, 6), r"features must have channels and positions, got \[2, 3, 0, 6\]"),
        ((2, 3, 4, 0), r"features must have channels and positions, got \[2, 3, 4, 0\]"),
        ((2, 3, 5, 6), r"features of 5x6 positions cannot be cut into a 2x2 grid"),
        ((2, 3, 4, 7), r"features of 4x7 positions cannot be cut into a 2x2 grid"),
        ((2, 3, 1, 1), r"features of 1x1 positions cannot be cut into a 2x2 grid"),
    ],
    ids=str,
)
def test_features_of_a_wrong_shape(
    shape: tuple[int, ...], rule: str, op: str, implementation: str, device: str
) -> None:
    assert_refused(implementation, op, device, rule, features=torch.zeros(shape))


@every_device
@every_implementation
@pytest.mark.parametrize("op", WITH_FEATURES)
@pytest.mark.parametrize(
    ("grid", "rule"),
    [
        (0, "grid must be at least 1, got 0"),
        (-2, "grid must be at least 1, got -2"),
        (3, "features of 4x6 positions cannot be cut into a 3x3 grid"),
        (2**40, f"features of 4x6 positions cannot be cut into a {2**40}x{2**40} grid"),
        (1, r"query must be \[1, heads, 3\], got \[4, 1, 3\]"),
    ],
)
def test_a_grid_that_does_not_fit(grid: int, rule: str, op: str, implementation: str, device: str) -> None:
    assert_refused(implementation, op, device, rule, grid=grid)


@every_device
@every_implementation
@pytest.mark.parametrize("op", WITH_FEATURES)
@pytest.mark.parametrize("shape", [(4, 3), (3, 1, 3), (4, 1, 2), (4, 0, 3), (4, 1, 3, 1), (1, 1, 3)], ids=str)
def test_a_query_of_a_wrong_shape(shape: tuple[int, ...], op: str, implementation: str, device: str) -> None:
    rule = rf"query must be \[4, heads, 3\], got \[{', '.join(map(str, shape))}\]"
    assert_refused(implementation, op, device, rule, query=torch.zeros(shape))


@every_device
@every_implementation
@pytest.mark.parametrize("op", WITH_FEATURES)
@pytest.mark.parametrize(
    ("dtype", "name"),
    [(torch.int32, "int32|Int"), (torch.complex64, "complex64|ComplexFloat"), (torch.bool, "bool|Bool")],
    ids=str,
)
def test_features_of_an_unsupported_type(
    dtype: torch.dtype, name: str, op: str, implementation: str, device: str
) -> None:
    rule = f"features must be float32, float16, bfloat16 or float64, got .*({name})"
    changed = {"features": torch.zeros(2, 3, 4, 6, dtype=dtype), "query": torch.zeros(4, 1, 3, dtype=dtype)}
    assert_refused(implementation, op, device, rule, **changed)


@every_device
@every_implementation
@pytest.mark.parametrize("op", WITH_FEATURES)
@pytest.mark.parametrize(
    ("features", "query", "name"),
    [
        (torch.float32, torch.float16, "float16|Half"),
        (torch.float32, torch.float64, "float64|Double"),
        (torch.float16, torch.bfloat16, "bfloat16|BFloat16"),
        (torch.bfloat16, torch.float64, "float64|Double"),
        (torch.float64, torch.float16, "float16|Half"),
        (torch.float16, torch.int64, "int64|Long"),
    ],
    ids=str,
)
def test_a_query_of_a_type_that_does_not_go_with_the_features(
    features: torch.dtype, query: torch.dtype, name: str, op: str, implementation: str, device: str
) -> None:
    changed = {
        "features": torch.zeros(2, 3, 4, 6, dtype=features),
        "query": torch.zeros(4, 1, 3, dtype=query),
    }
    rule = f"query must have the type of features.*got .*({name})"
    assert_refused(implementation, op, device, rule, **changed)


@every_device
@every_implementation
@pytest.mark.parametrize(
    ("name", "shape", "rule"),
    [
        ("grad_pooled", (2, 4, 3), r"grad_pooled must be \[2, 4, 1, 3\], got \[2, 4, 3\]"),
        ("grad_pooled", (1, 4, 1, 3), r"grad_pooled must be \[2, 4, 1, 3\], got \[1, 4, 1, 3\]"),
        ("grad_mean", (2, 4, 1, 3), r"grad_mean must be \[2, 4, 3\], got \[2, 4, 1, 3\]"),
        ("grad_mean", (2, 4, 2), r"grad_mean must be \[2, 4, 3\], got \[2, 4, 2\]"),
    ],
)
def test_a_gradient_of_a_wrong_shape(
    name: str, shape: tuple[int, ...], rule: str, implementation: str, device: str
) -> None:
    changed = {name: torch.zeros(shape)}
    assert_refused(implementation, "region_attention_backward", device, rule, **changed)


@every_device
@every_implementation
@pytest.mark.parametrize("shape", [(4, 3), (2, 0, 3), (2, 4, 0), (2, 4, 3, 1)], ids=str)
def test_means_of_a_wrong_shape(shape: tuple[int, ...], implementation: str, device: str) -> None:
    rule = rf"mean must be \[B, K, C\], got \[{', '.join(map(str, shape))}\]"
    assert_refused(implementation, "nonlocal_attention", device, rule, mean=torch.zeros(shape))


@every_device
@every_implementation
@pytest.mark.parametrize("op", WITH_NONLOCAL)
@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("position", (5, 3), "4, 3"),
        ("position", (4, 2), "4, 3"),
        ("position", (1, 4, 3), "4, 3"),
        ("query_weight", (5, 2), "(5|width), 3"),
        ("query_weight", (5,), "(5|width), 3"),
        ("query_weight", (0, 3), "width, 3"),
        ("key_weight", (4, 3), "5, 3"),
        ("key_weight", (5, 4), "5, 3"),
        ("value_weight", (3, 5), "5, 3"),
        ("value_bias", (4,), "5"),
        ("value_bias", (5, 1), "5"),
        # What nn.Linear(d, 1) holds: the caller flattens it.
        ("score_weight", (1, 5), "5"),
        ("score_weight", (), "5"),
    ],
)
def test_a_learned_tensor_of_a_wrong_shape(
    name: str, shape: tuple[int, ...], expected: str, op: str, implementation: str, device: str
) -> None:
    rule = rf"{name} must be \[{expected}\], got \[{', '.join(map(str, shape))}\]"
    assert_refused(implementation, op, device, rule, **{name: torch.zeros(shape)})


@every_device
@every_implementation
@pytest.mark.parametrize("op", WITH_NONLOCAL)
@pytest.mark.parametrize("name", NONLOCAL)
def test_learned_tensors_of_different_types(name: str, op: str, implementation: str, device: str) -> None:
    wrong = {name: NONLOCAL[name].double()}
    rule = r"must have the type of .*got .*(float\d\d|Double|Float)"
    assert_refused(implementation, op, device, rule, **wrong)


@every_device
@every_implementation
def test_means_of_an_unsupported_type(implementation: str, device: str) -> None:
    rule = "mean must be float32, float16, bfloat16 or float64, got .*(int64|Long)"
    wrong = {"mean": torch.zeros(2, 4, 3, dtype=torch.int64)}
    assert_refused(implementation, "nonlocal_attention", device, rule, **wrong)


@pytest.mark.parametrize("op", ARGUMENTS)
def test_tensors_on_two_devices_are_refused_by_the_reference(op: str) -> None:
    name = "query" if "query" in ARGUMENTS[op] else "position"
    elsewhere = {name: ARGUMENTS[op][name].to("meta")}
    with pytest.raises(ValueError, match=f"{name} and (features|mean) must be on one device"):
        REFERENCES[op](*(ARGUMENTS[op] | elsewhere).values())
