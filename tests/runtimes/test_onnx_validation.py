"""ONNX files that no runtime may see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lnlattennet.errors import BundleError
from lnlattennet.runtimes._onnx_validation import check_onnx_file

Wrap = Callable[[TensorProto], onnx.ModelProto]


def model_of(nodes: list[onnx.NodeProto], tensors: list[TensorProto]) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "graph", [], [], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def as_constant(tensor: TensorProto) -> onnx.ModelProto:
    return model_of([helper.make_node("Identity", [tensor.name], ["out"])], [tensor])


def as_attribute(tensor: TensorProto) -> onnx.ModelProto:
    return model_of([helper.make_node("Constant", [], ["out"], value=tensor)], [])


def inside_a_branch(tensor: TensorProto) -> onnx.ModelProto:
    branch = as_constant(tensor).graph
    return model_of([helper.make_node("If", ["c"], ["out"], then_branch=branch, else_branch=branch)], [])


def inside_a_function(tensor: TensorProto) -> onnx.ModelProto:
    node = helper.make_node("Constant", [], ["out"], value=tensor)
    model = model_of([helper.make_node("f", [], ["out"], domain="d")], [])
    model.functions.append(helper.make_function("d", "f", [], ["out"], [node], [helper.make_opsetid("", 18)]))
    return model


def sparse(tensor: TensorProto) -> onnx.ModelProto:
    model = as_constant(numpy_helper.from_array(np.zeros(1, np.float32), "dense"))
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(tensor, indices, [4]))
    return model


PLACES = [as_constant, as_attribute, inside_a_branch, inside_a_function, sparse]


def written(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def external(location: str, data_type: int = TensorProto.FLOAT) -> TensorProto:
    tensor = TensorProto(name="weights", data_type=data_type, dims=[2])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def test_what_this_project_writes_passes(
    small_onnx: Path, small_standard: onnx.ModelProto, tmp_path: Path
) -> None:
    check_onnx_file(small_onnx)
    check_onnx_file(written(small_standard, tmp_path))


@pytest.mark.parametrize("data_type", [TensorProto.FLOAT, TensorProto.INT64])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "absent.bin"])
def test_external_data_is_refused_wherever_it_is(
    place: Wrap, location: str, data_type: int, tmp_path: Path
) -> None:
    """Also where it might be a shape, whose values are looked at."""
    (tmp_path / "weights.bin").write_bytes(b"\0" * 8)
    path = written(place(external(location, data_type)), tmp_path)
    with pytest.raises(
        BundleError, match=f"model.onnx: tensor 'weights' keeps its data in another file .'{location}'"
    ):
        check_onnx_file(path)


@pytest.mark.parametrize("place", PLACES)
def test_a_tensor_of_40_gb_in_a_few_bytes_is_refused(place: Wrap, tmp_path: Path) -> None:
    tensor = TensorProto(name="huge", data_type=TensorProto.FLOAT, dims=[10, 10**9], raw_data=b"\0" * 4)
    path = written(place(tensor), tmp_path)
    assert path.stat().st_size < 300
    with pytest.raises(
        BundleError,
        match=r"'huge' must hold the 40,000,000,000 bytes of its shape \[10, 1000000000\], holds 4",
    ):
        check_onnx_file(path)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (TensorProto(data_type=TensorProto.FLOAT, dims=[3], float_data=[1.0]), "the 3 values .* holds 1"),
        (TensorProto(data_type=TensorProto.FLOAT, dims=[1], raw_data=b"\0" * 8), "the 4 bytes .* holds 8"),
        (TensorProto(data_type=TensorProto.FLOAT, dims=[-1], raw_data=b""), "must not be negative"),
        (TensorProto(data_type=TensorProto.INT64, dims=[3], int64_data=[1]), "the 3 values .* holds 1"),
        (TensorProto(data_type=TensorProto.INT64, dims=[2], raw_data=b"\0" * 8), "the 16 bytes .* holds 8"),
        (TensorProto(data_type=TensorProto.FLOAT16, dims=[2], int32_data=[1]), "the 2 values .* holds 1"),
        (TensorProto(data_type=TensorProto.STRING, dims=[2], string_data=[b"a"]), "the 2 values .* holds 1"),
        (TensorProto(data_type=TensorProto.INT4, dims=[5], raw_data=b"\0" * 2), "the 3 bytes .* holds 2"),
        (TensorProto(data_type=TensorProto.COMPLEX64, dims=[1], float_data=[1]), "the 2 values .* holds 1"),
        (TensorProto(data_type=99, dims=[1], raw_data=b"\0"), "the unknown type 99"),
    ],
)
def test_shape_and_data_must_fit(tensor: TensorProto, message: str, tmp_path: Path) -> None:
    tensor.name = "t"
    with pytest.raises(BundleError, match=message):
        check_onnx_file(written(as_constant(tensor), tmp_path))


def test_every_type_that_fits_passes(tmp_path: Path) -> None:
    for kind in (TensorProto.INT4, TensorProto.BOOL, TensorProto.BFLOAT16, TensorProto.FLOAT8E4M3FN):
        check_onnx_file(written(as_constant(helper.make_tensor("t", kind, [3], [0, 1, 1])), tmp_path))
    complex_ = TensorProto(name="t", data_type=TensorProto.COMPLEX64, dims=[1], float_data=[1, 2])
    check_onnx_file(written(as_constant(complex_), tmp_path))


@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand"])
@pytest.mark.parametrize("how", ["initializer", "value", "value_ints"])
def test_a_node_that_fills_a_giant_shape_is_refused(operator: str, how: str, tmp_path: Path) -> None:
    shape = numpy_helper.from_array(np.array([10**5, 10**5]), "shape")
    node = helper.make_node(operator, ["shape"] if operator == "ConstantOfShape" else ["x", "shape"], ["out"])
    constant = {"value": shape} if how == "value" else {"value_ints": [10**5, 10**5]}
    makers = [] if how == "initializer" else [helper.make_node("Constant", [], ["shape"], **constant)]
    model = model_of([*makers, node], [shape] if how == "initializer" else [])
    with pytest.raises(BundleError, match=r"fills the shape \[100000, 100000\]; a tensor may have at most"):
        check_onnx_file(written(model, tmp_path))


@pytest.mark.parametrize("content", [b"", b"not an onnx file", b"\x0a\xff\xff\xff\xff\x0f", b"\x08\x08"])
def test_what_is_no_onnx_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx: is not an ONNX file"):
        check_onnx_file(path)


def test_a_file_beyond_protobuf_s_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as stream:
        stream.truncate(3 * 2**30)
    with pytest.raises(BundleError, match="may have at most 2,147,483,647 bytes, this has 3,221,225,472"):
        check_onnx_file(path)
    with pytest.raises(BundleError, match=r"absent\.onnx: cannot be read: No such file"):
        check_onnx_file(tmp_path / "absent.onnx")
