"""Every runtime for real: one ONNX file, real sessions, real engines."""

from __future__ import annotations

import concurrent.futures
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from lnlattennet.errors import ExportError, UsageError
from lnlattennet.export.backends import BACKENDS, backend_named
from lnlattennet.export.backends.base import Available, BatchRange, BuildSpec, EngineFile
from lnlattennet.export.backends.cuda_memory import why_no_gpu
from lnlattennet.export.gate import torch_reference
from lnlattennet.export.onnx_export import export_onnx
from lnlattennet.model.checkpoint import load_checkpoint
from lnlattennet.model.names import OUTPUT_NAMES

BATCH = BatchRange(1, 4, 8)
CPU_BACKENDS = ("onnxruntime", "openvino")


@pytest.fixture(scope="module")
def onnx_path(checkpoint_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(load_checkpoint(checkpoint_path), path, BATCH)
    return path


@pytest.fixture(scope="module")
def engines(onnx_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, EngineFile]:
    spec = BuildSpec(tmp_path_factory.mktemp("engines"), BATCH, 48)
    return {name: backend_named(name).build(onnx_path, spec) for name in BACKENDS}


def faces(count: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal((count, 3, 48, 48)).astype(np.float32)


def test_the_onnx_file_is_valid_dynamic_and_tells_nothing_of_this_machine(onnx_path: Path) -> None:
    model = onnx.load(onnx_path)
    onnx.checker.check_model(model, full_check=True)
    tensors = [*model.graph.input, *model.graph.output]
    assert [tensor.name for tensor in tensors] == ["image", *OUTPUT_NAMES]
    for tensor in tensors:
        assert tensor.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert {prop.key for prop in model.metadata_props} == {"class_names", "preprocessing", "network"}
    assert not any(group in node.op_type for node in model.graph.node for group in ("Loop", "Scan", "If"))
    for secret in (str(Path.cwd()), str(Path.home()), "site-packages", ".py"):
        assert secret.encode() not in onnx_path.read_bytes()


def test_local_networks_are_batched_products_and_never_grouped_convolutions(onnx_path: Path) -> None:
    for node in onnx.load(onnx_path).graph.node:
        if node.op_type == "Conv":
            assert all(attribute.i == 1 for attribute in node.attribute if attribute.name == "group")


def test_the_fused_operator_is_written_out_in_standard_ones(onnx_path: Path) -> None:
    model = onnx.load(onnx_path)
    assert {node.domain for node in model.graph.node} == {""}
    assert not model.functions


@pytest.mark.parametrize("name", CPU_BACKENDS)
@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_an_engine_gives_what_the_checkpoint_gives(
    name: str, count: int, engines: dict[str, EngineFile], checkpoint_path: Path
) -> None:
    runner = backend_named(name).load(engines[name].path, 2)
    expected = torch_reference(load_checkpoint(checkpoint_path).network())(faces(count))
    found = runner({"image": faces(count)})
    assert expected["logits"].std() > 0.1
    for output in OUTPUT_NAMES:
        assert found[output].dtype == np.float32
        np.testing.assert_allclose(found[output], expected[output], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", CPU_BACKENDS)
def test_a_runner_can_be_called_from_several_threads(name: str, engines: dict[str, EngineFile]) -> None:
    runner = backend_named(name).load(engines[name].path, 1)
    expected = [runner({"image": faces(2, seed)})["logits"] for seed in range(16)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda seed: runner({"image": faces(2, seed)})["logits"], range(16)))
    np.testing.assert_allclose(np.stack(found), np.stack(expected), atol=1e-6)


def test_openvino_computes_in_float32(engines: dict[str, EngineFile]) -> None:
    """On CPUs with bf16 units its default would be bf16, off by about 1e-2."""
    import openvino as ov

    runner = backend_named("openvino").load(engines["openvino"].path, 1)
    compiled = runner._request.get_compiled_model()  # type: ignore[attr-defined]
    assert compiled.get_property("INFERENCE_PRECISION_HINT") == ov.Type.f32


def test_a_real_tensorrt_engine_is_built_without_a_gpu(engines: dict[str, EngineFile]) -> None:
    engine = engines["tensorrt"]
    assert engine.path.suffix == ".plan"
    assert engine.path.stat().st_size > 100_000
    assert engine.path.read_bytes()[1:4] == b"trt"
    assert "SM89" in engine.built_for["compute_capabilities"]
    available = backend_named("tensorrt").availability()
    assert isinstance(available, Available)
    assert ("no GPU" in available.cannot_run) == bool(why_no_gpu())


@pytest.mark.gpu
@pytest.mark.skipif(bool(why_no_gpu()), reason=why_no_gpu() or "a GPU is there")
@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_a_tensorrt_engine_gives_what_the_checkpoint_gives(
    count: int, engines: dict[str, EngineFile], checkpoint_path: Path
) -> None:
    runner = backend_named("tensorrt").load(engines["tensorrt"].path, 0)
    expected = torch_reference(load_checkpoint(checkpoint_path).network())(faces(count))
    found = runner({"image": faces(count)})
    for output in OUTPUT_NAMES:
        np.testing.assert_allclose(found[output], expected[output], atol=1e-4, rtol=0)


def test_tensorrt_names_what_it_cannot_parse(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not an onnx file")
    with pytest.raises(ExportError, match=r"cannot parse broken\.onnx"):
        backend_named("tensorrt").build(path, BuildSpec(tmp_path, BATCH, 48))


def test_openvino_names_what_it_cannot_convert(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not an onnx file")
    with pytest.raises(ExportError, match=r"OpenVINO cannot convert broken\.onnx"):
        backend_named("openvino").build(path, BuildSpec(tmp_path, BATCH, 48))


def test_an_unknown_backend_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown backend 'tvm'; known: onnxruntime, openvino, tensorrt"):
        backend_named("tvm")


def test_an_export_leaves_torch_as_it_was(checkpoint_path: Path, tmp_path: Path) -> None:
    network = load_checkpoint(checkpoint_path).network()
    before = network(torch.ones(1, 3, 48, 48)).logits
    export_onnx(load_checkpoint(checkpoint_path), tmp_path / "m.onnx", BATCH)
    assert torch.equal(network(torch.ones(1, 3, 48, 48)).logits, before)
