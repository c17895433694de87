"""Real TensorRT builds, and engines that are refused."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest

from lnlattennet.errors import ExportError, UnavailableError
from lnlattennet.runtimes._base import Available
from lnlattennet.runtimes._precision import PRECISIONS, PrecisionPlan
from lnlattennet.runtimes.tensorrt import _backend as tensorrt
from lnlattennet.runtimes.tensorrt._cuda_memory import compute_capability, why_no_gpu
from lnlattennet.runtimes.tensorrt._library import RTX, module_name
from tests.runtimes.tensorrt.engines import built, rtx_only, spec_for
from tests.runtimes.typed_graphs import write_graph


def test_engines_can_be_built_here_and_it_says_whether_they_can_run() -> None:
    available = tensorrt.availability()
    assert isinstance(available, Available)
    assert (available.run_blocker or "") == why_no_gpu()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_engine_of_every_precision_has_all_its_convolutions_in_it(precision: str, tmp_path: Path) -> None:
    plan = PrecisionPlan({"unet.stem": precision})
    if not why_no_gpu() and (reason := tensorrt.unsupported_reason(plan)):
        pytest.skip(reason)
    assert tensorrt.unsupported_reason(plan) is None
    engine = built(tmp_path, precision)
    assert engine.path.name.endswith(f"-{precision}.plan")
    assert engine.path.read_bytes()[1:4] == b"trt"
    assert engine.layers == {precision: 3}


def test_the_requirements_name_version_gpus_and_driver(tmp_path: Path) -> None:
    requires = built(tmp_path).requires
    available = tensorrt.availability()
    assert isinstance(available, Available)
    assert requires.device == "cuda"
    versions = {name: f"=={version}" for name, version in available.versions.items()}
    assert requires.packages == versions | {"cuda-bindings": ">=12.8"}
    assert requires.driver in {"525", "580"}
    if module_name() != RTX:
        assert requires.compute_capabilities == [compute_capability()]


@rtx_only
def test_gpus_that_lack_a_precision_are_no_target(tmp_path: Path) -> None:
    assert built(tmp_path, "fp16").requires.compute_capabilities == ["8.0", "8.6", "8.9", "12.0", "12.1"]
    assert built(tmp_path, "fp8").requires.compute_capabilities == ["8.9", "12.0", "12.1"]


def test_it_names_what_it_cannot_parse(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not an onnx file")
    with pytest.raises(ExportError, match=r"cannot parse broken\.onnx"):
        tensorrt.build(path, spec_for(tmp_path))


def test_a_failed_build_says_why_in_tensorrts_words(tmp_path: Path) -> None:
    onnx_path = write_graph(tmp_path / "model.onnx", "fp32")
    with pytest.raises(ExportError, match=r"built no engine: .*tensor image and profile 0.*min=9"):
        tensorrt.build(onnx_path, dataclasses.replace(spec_for(tmp_path), image_size=9))
    assert not list(tmp_path.glob("*.plan"))


def test_what_is_no_engine_is_refused(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.plan"
    for content in (b"", b"garbage" * 100):
        garbage.write_bytes(content)
        with pytest.raises((ExportError, UnavailableError), match=r"garbage\.plan"):
            tensorrt.load(garbage)


@rtx_only
def test_an_engine_of_another_version_is_refused_before_tensorrt_sees_it(tmp_path: Path) -> None:
    engine = built(tmp_path).path
    content = bytearray(engine.read_bytes())
    content[25] += 1
    engine.write_bytes(content)
    newer = ".".join(str(number) for number in content[24:27])
    with pytest.raises(
        ExportError, match=f"does not load with TensorRT-RTX .* built with {newer}.*export again"
    ):
        tensorrt.load(engine)


@pytest.mark.skipif(not why_no_gpu(), reason="a GPU is there")
def test_without_a_gpu_loading_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"\.plan runs on a GPU only: no GPU"):
        tensorrt.load(built(tmp_path).path)


def test_warnings_of_tensorrt_join_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="lnlattennet")
    built(tmp_path)
    assert any(record.getMessage().startswith("TensorRT: ") for record in caplog.records)
