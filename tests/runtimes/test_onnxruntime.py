"""ONNX Runtime for real: what it computes, in what, and what it must refuse."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto

from lnlattennet.errors import BundleError, UnavailableError, UsageError
from lnlattennet.export.precision._apply import planned_layers
from lnlattennet.machine._hardware import cpu_flags
from lnlattennet.runtimes import _onnxruntime as onnxruntime
from lnlattennet.runtimes._base import Arrays, Available
from lnlattennet.runtimes._registry import backend_named
from tests.runtimes.engines import BuildEngine, assert_agrees, assert_takes_threads, plan

BACKEND = backend_named("onnxruntime")
pytestmark = pytest.mark.skipif(
    "onnxruntime-gpu" in getattr(BACKEND.availability(), "versions", {}),
    reason="onnxruntime-gpu may build for a GPU",
)


def test_fp32_gives_what_the_checkpoint_gives(build_engine: BuildEngine, reference: Arrays) -> None:
    engine = build_engine("onnxruntime", plan("fp32"))
    assert set(engine.layers) == {"fp32"}
    assert engine.requires.device == "cpu"
    assert engine.requires.cpu_features == []
    assert_agrees(BACKEND.load(engine.path, 2), reference, 1e-5, 1e-4)


def test_int8_runs_in_int8(
    build_engine: BuildEngine, reference: Arrays, small_standard: onnx.ModelProto
) -> None:
    engine = build_engine("onnxruntime", plan("int8"))
    planned = planned_layers(small_standard, plan("int8"))
    assert engine.layers["int8"] == planned["int8"] > 0
    assert engine.layers["fp32"] >= planned["fp32"]
    assert set(engine.requires.cpu_features) <= {"avx512_vnni", "avx_vnni"} & cpu_flags()
    assert len(engine.requires.cpu_features) == bool({"avx512_vnni", "avx_vnni"} & cpu_flags())
    assert_agrees(BACKEND.load(engine.path, 2), reference, 1e-3, 0.1)


def test_layers_are_counted_in_the_precision_that_they_run_in(
    build_engine: BuildEngine, small_standard: onnx.ModelProto
) -> None:
    part = plan("int8", {"unet.down1": "fp32"})
    found = build_engine("onnxruntime", part).layers
    assert found["int8"] == planned_layers(small_standard, part)["int8"]
    assert found["int8"] < planned_layers(small_standard, plan("int8"))["int8"]


def test_a_graph_in_fp16_is_caught_running_in_fp32(build_engine: BuildEngine) -> None:
    assert set(build_engine("onnxruntime", plan("fp16")).layers) == {"fp32"}


def test_precisions_that_the_cpu_provider_lacks_are_refused() -> None:
    assert BACKEND.unsupported_reason(plan("fp32")) == BACKEND.unsupported_reason(plan("int8")) is None
    assert "no fp16 on cpu: the CPU provider would compute it in fp32" in str(
        BACKEND.unsupported_reason(plan("fp16"))
    )
    assert "no bf16 on cpu" in str(BACKEND.unsupported_reason(plan("bf16")))
    assert "no fp8 on cpu" in str(BACKEND.unsupported_reason(plan("fp8")))
    assert "no bf16 on cpu" in str(BACKEND.unsupported_reason(plan("fp32", {"fusion": "bf16"})))


def test_the_engine_is_the_graph_itself(build_engine: BuildEngine) -> None:
    engine = build_engine("onnxruntime", plan("fp32"))
    assert engine.path.name == "model.onnx"
    assert [path.name for path in engine.path.parent.iterdir()] == ["model.onnx"]


def test_a_session_may_be_called_from_several_threads(build_engine: BuildEngine) -> None:
    assert_takes_threads(BACKEND.load(build_engine("onnxruntime", plan("fp32")).path, 1))


def test_a_file_for_the_gpu_does_not_run_on_the_cpu(small_standard: onnx.ModelProto, tmp_path: Path) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(small_standard)
    model.metadata_props.add(key=onnxruntime.DEVICE_KEY, value="cuda")
    onnx.save_model(model, str(tmp_path / "gpu.onnx"))
    with pytest.raises(UnavailableError, match=r"gpu\.onnx is for the CUDA provider"):
        BACKEND.load(tmp_path / "gpu.onnx", 1)


def test_a_file_with_data_elsewhere_is_not_loaded(small_standard: onnx.ModelProto, tmp_path: Path) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(small_standard)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../elsewhere.bin")
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError):
        BACKEND.load(tmp_path / "model.onnx", 1)


def test_it_is_available_with_its_version() -> None:
    available = BACKEND.availability()
    assert isinstance(available, Available)
    assert set(available.versions) == {"onnxruntime"}


def test_an_unknown_backend_is_refused_with_the_known_ones() -> None:
    known = "torch, aoti, onnxruntime, openvino, tensorrt"
    with pytest.raises(UsageError, match=f"unknown backend 'tvm'; known: {known}"):
        backend_named("tvm")
