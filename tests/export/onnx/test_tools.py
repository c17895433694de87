"""`model.onnx` after the tools that others put it through: still a valid model, with the same answers."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, version_converter

from lnlattennet.model._io_spec import OUTPUT_NAMES

Arrays = dict[str, NDArray[np.float32]]
Tool = Callable[[ModelProto, Path], ModelProto]
FACES = {count: np.random.default_rng(count).standard_normal((count, 3, 48, 48)) for count in (1, 3)}


@pytest.fixture
def model(small_standard: ModelProto) -> ModelProto:
    return copy_of(small_standard)


@pytest.fixture
def function_model(small_onnx: Path) -> ModelProto:
    return onnx.load_model(str(small_onnx))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The tools print, and use names that numpy and torch are about to drop."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def copy_of(model: ModelProto) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def answers(model: ModelProto, count: int, dtype: Any = np.float32) -> Arrays:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs = session.run(list(OUTPUT_NAMES), {"image": FACES[count].astype(dtype)})
    return dict(zip(OUTPUT_NAMES, outputs, strict=True))


def assert_same(found: ModelProto, wanted: ModelProto, atol: float = 1e-5, dtype: Any = np.float32) -> None:
    for count in FACES:
        reference = answers(wanted, count)
        for name, array in answers(found, count, dtype).items():
            np.testing.assert_allclose(array, reference[name], atol=atol, rtol=0, err_msg=name)


def onnxsim(model: ModelProto, folder: Path) -> ModelProto:
    simplified: tuple[ModelProto, bool] = pytest.importorskip("onnxsim").simplify(model)
    assert simplified[1]
    return simplified[0]


def onnxslim(model: ModelProto, folder: Path) -> ModelProto:
    slim: ModelProto = pytest.importorskip("onnxslim").slim(model)
    return slim


def surgeon_sanitize(model: ModelProto, folder: Path) -> ModelProto:
    pytest.importorskip("onnx_graphsurgeon")
    tools = pytest.importorskip("polygraphy.backend.onnx")
    folded: ModelProto = tools.fold_constants(model, allow_onnxruntime_shape_inference=False)
    return folded


def graphsurgeon(model: ModelProto, folder: Path) -> ModelProto:
    surgeon = pytest.importorskip("onnx_graphsurgeon")
    exported: ModelProto = surgeon.export_onnx(surgeon.import_onnx(model).cleanup().toposort())
    return exported


def printed_and_parsed(model: ModelProto, folder: Path) -> ModelProto:
    return onnx.parser.parse_model(onnx.printer.to_text(model))


def prefixed(model: ModelProto, folder: Path) -> ModelProto:
    return onnx.compose.add_prefix(model, "first_", rename_inputs=False, rename_outputs=False)


def external_data(model: ModelProto, folder: Path) -> ModelProto:
    path = folder / "external.onnx"
    onnx.save_model(model, str(path), save_as_external_data=True, size_threshold=0, location="weights.bin")
    return onnx.load_model(str(path))


def converted_to(opset: int) -> Tool:
    return lambda model, folder: version_converter.convert_version(model, opset)


def onnxscript_optimizer(model: ModelProto, folder: Path) -> ModelProto:
    optimized: ModelProto = pytest.importorskip("onnxscript.optimizer").optimize(model)
    return optimized


def preprocessed(model: ModelProto, folder: Path) -> ModelProto:
    """With --auto_merge: it takes floor(1.0*batch), behind an upsampling, for another axis than batch."""
    pytest.importorskip("sympy")
    from onnxruntime.quantization.shape_inference import quant_pre_process

    onnx.save_model(model, str(folder / "model.onnx"))
    quant_pre_process(str(folder / "model.onnx"), str(folder / "prepared.onnx"), auto_merge=True)
    return onnx.load_model(str(folder / "prepared.onnx"))


BOTH_FORMS: dict[str, Tool] = {
    "onnxsim": onnxsim,
    "onnxslim": onnxslim,
    "polygraphy surgeon sanitize": surgeon_sanitize,
    "onnx-graphsurgeon": graphsurgeon,
    "onnx.printer": printed_and_parsed,
    "onnx.compose": prefixed,
    "external data": external_data,
    "onnxscript.optimizer": onnxscript_optimizer,
    "onnxruntime.quantization.preprocess": preprocessed,
}
STANDARD_ONLY: dict[str, Tool] = {f"version_converter {opset}": converted_to(opset) for opset in (15, 21, 24)}
TOOLS = BOTH_FORMS | STANDARD_ONLY


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_a_tool_leaves_a_valid_model_with_the_same_answers(
    tool: Tool, model: ModelProto, tmp_path: Path
) -> None:
    changed = tool(copy_of(model), tmp_path)
    onnx.checker.check_model(changed, full_check=True)
    assert_same(changed, model)


@pytest.mark.parametrize("tool", BOTH_FORMS.values(), ids=BOTH_FORMS)
def test_the_function_form_survives_what_can_read_functions(
    tool: Tool, function_model: ModelProto, model: ModelProto, tmp_path: Path
) -> None:
    changed = tool(function_model, tmp_path)
    onnx.checker.check_model(changed, full_check=True)
    assert_same(changed, model)


@pytest.mark.parametrize("keep_io", [True, False])
@pytest.mark.parametrize("package", ["onnxconverter_common.float16", "onnxruntime.transformers.float16"])
def test_converters_to_float16_leave_a_model_that_loads(
    package: str, keep_io: bool, model: ModelProto
) -> None:
    halved = pytest.importorskip(package).convert_float_to_float16(copy_of(model), keep_io_types=keep_io)
    assert_same(halved, model, atol=0.1, dtype=np.float32 if keep_io else np.float16)


def test_openvinos_converter_reads_it(model: ModelProto, tmp_path: Path) -> None:
    """What `ovc` calls, with the compression to float16 that it does by default."""
    ov = pytest.importorskip("openvino")
    onnx.save_model(model, str(tmp_path / "model.onnx"))
    ov.save_model(ov.convert_model(tmp_path / "model.onnx"), tmp_path / "model.xml")
    compiled = ov.Core().compile_model(tmp_path / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for count, faces in FACES.items():
        found, wanted = compiled({"image": faces.astype(np.float32)}), answers(model, count)
        for name, array in wanted.items():
            np.testing.assert_allclose(found[name], array, atol=0.1)


def test_a_part_of_it_can_be_cut_out(model: ModelProto, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole.onnx", tmp_path / "part.onnx"
    onnx.save_model(model, str(whole))
    onnx.utils.extract_model(str(whole), str(part), ["image"], ["region_weights"])
    session = ort.InferenceSession(str(part), providers=["CPUExecutionProvider"])
    [weights] = session.run(None, {"image": FACES[3].astype(np.float32)})
    np.testing.assert_allclose(weights, answers(model, 3)["region_weights"], atol=1e-5)


def test_its_batch_can_be_fixed(model: ModelProto) -> None:
    tools = pytest.importorskip("onnxruntime.tools.onnx_model_utils")
    fixed = copy_of(model)
    tools.make_dim_param_fixed(fixed.graph, "batch", 3)
    onnx.checker.check_model(fixed, full_check=True)
    assert not any(
        axis.dim_param for value in fixed.graph.value_info for axis in value.type.tensor_type.shape.dim
    )
    for name, array in answers(fixed, 3).items():
        np.testing.assert_allclose(array, answers(model, 3)[name], atol=1e-5)
