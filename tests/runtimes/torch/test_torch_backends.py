"""Torch as a runtime, eager and compiled: the small network, its real engines."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from lnlattennet.bundle._engine import load_runner
from lnlattennet.errors import ExportError
from lnlattennet.export.precision._apply import planned_layers
from lnlattennet.machine._hardware import cpu_flags
from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.runtimes._base import Arrays, BuildSpec, EngineFile
from lnlattennet.runtimes._registry import backend_named
from tests.runtimes.engines import BATCH, BuildEngine, assert_agrees, assert_takes_threads, faces, plan

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there, and engines are built for it")


@pytest.fixture(scope="module")
def compiled(build_engine: BuildEngine, tmp_path_factory: pytest.TempPathFactory) -> EngineFile:
    """The one package that these tests compile; the name of the temporary folder has a space."""
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("temporary files"))
        patch.setattr(tempfile, "tempdir", folder)
        patch.setenv("TMPDIR", folder)
        return build_engine("aoti", plan("fp32"))


@no_gpu
def test_torch_gives_what_the_checkpoint_gives(
    build_engine: BuildEngine, reference: Arrays, small_standard: onnx.ModelProto
) -> None:
    engine = build_engine("torch", plan("fp32"))
    assert engine.layers == planned_layers(small_standard, plan("fp32"))
    assert_agrees(backend_named("torch").load(engine.path, 2), reference, 1e-5, 1e-4)


@no_gpu
def test_torch_in_bf16_carries_its_weights_in_bf16(
    build_engine: BuildEngine, reference: Arrays, small_standard: onnx.ModelProto
) -> None:
    engine = build_engine("torch", plan("bf16"))
    assert engine.layers == planned_layers(small_standard, plan("bf16"))
    assert load_checkpoint(engine.path).weights["fusion.weight"].dtype == torch.bfloat16
    runner = backend_named("torch").load(engine.path, 2)
    assert_agrees(runner, reference, 1e-3, 0.05)
    assert np.abs(runner({"image": faces(8)})["logits"] - reference["logits"]).max() > 1e-3


def test_torch_may_be_called_from_several_threads(build_engine: BuildEngine) -> None:
    engine = build_engine("torch", plan("fp32"))
    assert_takes_threads(backend_named("torch").load(engine.path, 1))


def test_torch_takes_faces_that_must_not_be_written_to(build_engine: BuildEngine) -> None:
    runner = backend_named("torch").load(build_engine("torch", plan("fp32")).path, 1)
    image = faces(1)
    image.setflags(write=False)
    assert runner({"image": image})["logits"].shape == (1, 7)


@no_gpu
@pytest.mark.parametrize("name", ["torch", "aoti"])
def test_torch_computes_in_one_precision_only(name: str) -> None:
    backend = backend_named(name)
    assert backend.unsupported_reason(plan("fp32")) == backend.unsupported_reason(plan("bf16")) is None
    assert "one precision, fp32 or bf16; the plan has fp16" in str(backend.unsupported_reason(plan("fp16")))
    assert "the plan has fp32 and int8" in str(backend.unsupported_reason(plan("int8")))
    assert "the plan has fp32 and bf16" in str(backend.unsupported_reason(plan("bf16", {"fusion": "fp32"})))


def test_a_compiled_engine_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "'no-such-compiler' is not on PATH" in str(backend_named("aoti").unsupported_reason(plan("fp32")))


@pytest.mark.slow
def test_a_failing_compiler_is_named(
    monkeypatch: pytest.MonkeyPatch, checkpoint_path: Path, tmp_path: Path
) -> None:
    compiler = tmp_path / "g++"
    compiler.write_text(
        '#!/bin/sh\ncase "$*" in *-version*|*-v) exec g++ "$@";; esac\necho "error: no" >&2\nexit 1\n'
    )
    compiler.chmod(0o700)
    monkeypatch.setenv("CXX", str(compiler))
    spec = BuildSpec(tmp_path, BATCH, 48, plan("fp32"), checkpoint_path)
    with pytest.raises(ExportError, match="cannot compile the network: error: no"):
        backend_named("aoti").build(tmp_path / "unused.onnx", spec)
    assert [path.name for path in tmp_path.iterdir()] == ["g++"]


@pytest.mark.slow
@no_gpu
def test_a_compiled_engine_gives_what_the_checkpoint_gives(
    compiled: EngineFile, reference: Arrays, small_standard: onnx.ModelProto
) -> None:
    assert compiled.layers == planned_layers(small_standard, plan("fp32"))
    assert_agrees(backend_named("aoti").load(compiled.path, 2), reference, 1e-5, 1e-4)


@pytest.mark.slow
def test_a_compiled_engine_may_be_called_from_several_threads(compiled: EngineFile) -> None:
    assert_takes_threads(backend_named("aoti").load(compiled.path, 1))


@pytest.mark.slow
@no_gpu
def test_a_compiled_engine_is_unpacked_only_while_it_is_loaded(
    compiled: EngineFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is killed later, such as a process that times it, leaves nothing behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    runner = backend_named("aoti").load(compiled.path, 1)
    assert list(tmp_path.iterdir()) == []
    assert runner({"image": faces(2)})["logits"].shape == (2, 7)


@pytest.mark.slow
def test_a_compiled_engine_reads_faces_of_any_memory_layout(compiled: EngineFile) -> None:
    """Its code takes the strides that it was compiled for as given."""
    runner = load_runner("aoti", "aoti", compiled.path, 48, 1)
    found = runner({"image": np.asfortranarray(faces(4))})
    np.testing.assert_array_equal(found["logits"], runner({"image": faces(4)})["logits"])


@pytest.mark.slow
@no_gpu
def test_a_compiled_engine_says_what_it_needs(compiled: EngineFile) -> None:
    requires = compiled.requires
    assert requires.device == "cpu"
    assert requires.packages == {"torch": "==" + torch.__version__.partition("+")[0]}
    assert requires.platform.startswith("Linux ")
    assert set(requires.cpu_features) <= cpu_flags()
    if "avx2" in cpu_flags():
        assert {"fma", "avx2"} & set(requires.cpu_features)


@pytest.mark.slow
def test_a_compiled_engine_is_one_file_with_the_fused_op_and_nothing_of_this_machine(
    compiled: EngineFile,
) -> None:
    assert {path.name for path in compiled.path.parent.iterdir()} <= {compiled.path.name, "model.onnx"}
    with zipfile.ZipFile(compiled.path) as package:
        contents = {name: package.read(name) for name in package.namelist()}
    assert any(b"lnlattennet::local_nonlocal_attention" in content for content in contents.values())
    for content in contents.values():
        for place in (str(Path.cwd()), str(Path.home()), "site-packages"):
            assert place.encode() not in content


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", ["torch", "aoti"])
def test_torch_on_a_gpu_gives_what_the_checkpoint_gives(
    name: str, build_engine: BuildEngine, reference: Arrays
) -> None:
    engine = build_engine(name, plan("fp16"))
    assert engine.requires.device == "cuda"
    assert set(engine.layers) == {"fp16"}
    assert_agrees(backend_named(name).load(engine.path, 0), reference, 1e-3, 0.02)
