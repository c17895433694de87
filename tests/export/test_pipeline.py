"""Exports: whole or nothing, and an engine that fails does not end the others."""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest

from lnlattennet.bundle._bundle import Bundle, hash_file
from lnlattennet.bundle._export_options import VerificationOptions
from lnlattennet.errors import BundleError, CheckpointError, GateError, UsageError
from lnlattennet.export import _engine_builder
from lnlattennet.export._pipeline import export_engine
from lnlattennet.export.onnx._inline import inlined
from lnlattennet.export.selection._timing import engine_arguments
from lnlattennet.runtimes._base import BatchRange
from tests.export.exports import quick_options


def test_an_existing_output_is_refused_without_force(checkpoint_path: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    export_engine(quick_options(checkpoint_path, output))
    before = hash_file(output / "manifest.json")
    with pytest.raises(UsageError, match="is a bundle already; pass --force"):
        export_engine(quick_options(checkpoint_path, output))
    assert hash_file(output / "manifest.json") == before
    export_engine(quick_options(checkpoint_path, output, batch=BatchRange(1, 1, 2), force=True))
    assert Bundle.load(output).manifest.engines[0].batch == (1, 1, 2)
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_is_no_bundle_is_never_replaced(
    checkpoint_path: Path, tmp_path: Path, force: bool
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="exists and is not a bundle"):
        export_engine(quick_options(checkpoint_path, tmp_path, force=force))
    with pytest.raises(BundleError, match="not a folder that can be written to"):
        export_engine(quick_options(checkpoint_path, tmp_path / "thesis.txt" / "out", force=force))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_place_that_cannot_be_written_is_refused(checkpoint_path: Path) -> None:
    """Nobody may create a folder in /proc, not even root."""
    with pytest.raises(BundleError, match=r"-o /proc/out.* another"):
        export_engine(quick_options(checkpoint_path, Path("/proc/out")))


def test_if_no_engine_passes_nothing_is_written(checkpoint_path: Path, tmp_path: Path) -> None:
    impossible = VerificationOptions(faces=32, limits={"atol": ("0",)})
    with pytest.raises(
        GateError, match=r"no engine ran and passed.*logits is .* from the checkpoint.*batch \d+, sample \d+"
    ):
        export_engine(
            quick_options(
                checkpoint_path,
                tmp_path / "out",
                verification=impossible,
                backends=("onnxruntime", "openvino"),
            )
        )
    assert list(tmp_path.iterdir()) == []


def test_an_engine_that_could_not_be_run_is_not_published_alone(
    checkpoint_path: Path, tmp_path: Path
) -> None:
    from lnlattennet.runtimes.tensorrt._cuda_memory import why_no_gpu

    if not why_no_gpu():
        pytest.skip("with a GPU the engine runs")
    with pytest.raises(GateError, match="tensorrt-fp32: built, not run: no GPU"):
        export_engine(quick_options(checkpoint_path, tmp_path / "out", backends=("tensorrt",)))
    assert list(tmp_path.iterdir()) == []


def test_an_engine_that_fails_to_run_does_not_end_the_others(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime that raises something of its own while loading: its files must not stay behind."""
    from lnlattennet.runtimes import _openvino as openvino

    def broken(engine_file: Path, threads: int = 0) -> None:
        raise ValueError("this CPU lacks an instruction")

    monkeypatch.setattr(openvino, "load", broken)
    report = export_engine(
        quick_options(checkpoint_path, tmp_path / "out", backends=("onnxruntime", "openvino"))
    )
    assert [engine["backend"] for engine in report["engines"]] == ["onnxruntime"]
    assert "ValueError: this CPU lacks an instruction" in report["skipped"][0]["reason"]
    assert not list((tmp_path / "out").rglob("*openvino*"))
    Bundle.load(tmp_path / "out")


def test_a_graph_that_cannot_be_rearranged_is_exported_as_it_is(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another release of torch may put other nodes between those that are known."""

    def with_identity(function_graph: onnx.ModelProto) -> onnx.ModelProto:
        model = inlined(function_graph)
        [index] = [index for index, node in enumerate(model.graph.node) if node.name == "unet.project/Conv_0"]
        features = model.graph.node[index].output[0]
        model.graph.node[index].output[0] = "projected"
        name = "unet.project/Identity_0"
        identity = onnx.helper.make_node("Identity", ["projected"], [features], name=name)
        model.graph.node.insert(index + 1, identity)
        return model

    monkeypatch.setattr(_engine_builder, "inlined", with_identity)
    options = quick_options(checkpoint_path, tmp_path / "out", backends=("openvino",))
    with caplog.at_level(logging.WARNING, "lnlattennet"):
        report = export_engine(options)
    assert [engine["status"] for engine in report["engines"]] == ["passed"]
    assert "cannot be rearranged (ExportError: unet.project/Identity_0 is no 1x1 convolution" in caplog.text


def test_a_checkpoint_that_changes_meanwhile_is_refused(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that goes on may write its file anew."""
    from lnlattennet.runtimes import _onnxruntime as onnxruntime

    checkpoint = Path(shutil.copy(checkpoint_path, tmp_path / "mine.safetensors"))
    build = onnxruntime.build

    def slow_build(path: Path, spec: Any) -> Any:
        checkpoint.write_bytes(checkpoint.read_bytes()[:-1] + b"x")
        return build(path, spec)

    monkeypatch.setattr(onnxruntime, "build", slow_build)
    with pytest.raises(CheckpointError, match=r"mine\.safetensors was changed while it was exported"):
        export_engine(quick_options(checkpoint, tmp_path / "out"))
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_a_file_that_is_gone_is_named_and_not_the_output(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lnlattennet.runtimes import _onnxruntime as onnxruntime

    checkpoint = Path(shutil.copy(checkpoint_path, tmp_path / "mine.safetensors"))
    build = onnxruntime.build

    def build_and_remove(path: Path, spec: Any) -> Any:
        checkpoint.unlink()
        return build(path, spec)

    monkeypatch.setattr(onnxruntime, "build", build_and_remove)
    gone = f"^{re.escape(str(checkpoint))} cannot be used .No such file.*, so -o .*/out was not written"
    with pytest.raises(BundleError, match=gone):
        export_engine(quick_options(checkpoint, tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_an_engine_that_fails_while_it_is_timed_does_not_end_the_others(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Say it lacks memory in a process of its own: the process that times it really ends."""
    from lnlattennet.export import _pipeline as engine_export

    def arguments(backend: str, path: Path) -> tuple[str, list[Any]]:
        function, values = engine_arguments(backend, path)
        return function, ([backend, "gone.xml", 1] if backend == "openvino" else values)

    monkeypatch.setattr(engine_export, "engine_arguments", arguments)
    report = export_engine(
        quick_options(checkpoint_path, tmp_path / "out", backends=("openvino", "onnxruntime"))
    )
    assert [engine["name"] for engine in report["engines"]] == ["onnxruntime-fp32"]
    assert re.search(
        r"openvino-fp32: the process that times it ended with exit code 1: .*gone\.xml",
        report["skipped"][0]["reason"],
    )
    assert not list((tmp_path / "out").rglob("*openvino*"))
    assert Bundle.load(tmp_path / "out").manifest.selected == "onnxruntime-fp32"


@pytest.mark.parametrize("output", [".", "..", "here/.."])
def test_the_current_folder_is_never_the_output(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is the current folder or holds it"):
        export_engine(quick_options(checkpoint_path, Path(output)))
