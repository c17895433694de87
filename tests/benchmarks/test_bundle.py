"""The benchmark of a bundle's engine: every candidate counted alike, answers compared with torch's."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from lnlattennet.benchmarks.bundle import __main__ as benchmark
from lnlattennet.benchmarks.bundle._accuracy import compare_answers, labeled_faces
from lnlattennet.benchmarks.bundle._benchmark_app import benchmark_app, openvino_engine
from lnlattennet.benchmarks.bundle._candidates import (
    AOTI,
    COMPILED,
    EAGER,
    NNCF,
    ONNX_RUNTIME,
    OURS,
)
from lnlattennet.benchmarks.harness._versions import EARLIER
from lnlattennet.bundle import read_manifest
from lnlattennet.data.synthetic import EXPRESSIONS
from lnlattennet.errors import LnlAttenNetError, UsageError
from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.model import Preprocessing
from tests.bundle.manifests import engine, manifest


def test_answers_are_compared_with_the_reference() -> None:
    faces, labels = np.zeros((20, 3, 4, 4), np.float32), np.zeros(20, np.int64)
    logits = np.tile(np.array([[2.0, 1.0]], np.float32), (8, 1))
    candidates = {"right": lambda batch: logits[: len(batch)], "wrong": lambda batch: -logits[: len(batch)]}
    answers = compare_answers(candidates, "right", faces, labels)
    assert answers["right"] == {
        "accuracy": 1.0,
        "accuracy_drop": 0.0,
        "top1_agreement": 1.0,
        "max_abs_logit_difference": 0.0,
    }
    assert answers["wrong"] == {
        "accuracy": 0.0,
        "accuracy_drop": 1.0,
        "top1_agreement": 0.0,
        "max_abs_logit_difference": 4.0,
    }


def test_labels_are_the_checkpoints_whatever_order_its_classes_have() -> None:
    preprocessing = Preprocessing(size=32)
    faces, labels = labeled_faces(14, preprocessing, EXPRESSIONS, 1)
    turned = ("contempt", *reversed(EXPRESSIONS))
    same_faces, other_labels = labeled_faces(14, preprocessing, turned, 1)
    np.testing.assert_array_equal(same_faces, faces)
    assert [turned[index] for index in other_labels] == [EXPRESSIONS[index] for index in labels]


def test_faces_of_classes_that_the_checkpoint_lacks_do_not_count() -> None:
    _, labels = labeled_faces(14, Preprocessing(size=32), ("fear", "boredom"), 1)
    assert set(labels) == {-1, 0}
    fear = {"fear": lambda batch: np.tile(np.array([[2.0, 1.0]], np.float32), (len(batch), 1))}
    faces = np.zeros((14, 3, 4, 4), np.float32)
    assert compare_answers(fear, "fear", faces, labels)["fear"]["accuracy"] == 1
    _, labels = labeled_faces(14, Preprocessing(size=32), ("smile", "boredom"), 1)
    assert "accuracy" not in compare_answers(fear, "fear", faces, labels)["fear"]


def test_a_bundle_of_another_checkpoint_is_refused(bundle_path: Path, demo_checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="was not exported from"):
        benchmark.run(["--bundle", str(bundle_path), "--checkpoint", str(demo_checkpoint)])


def test_openvinos_own_tool_measures_its_engine(bundle_path: Path, tmp_path: Path) -> None:
    manifest = read_manifest(bundle_path)
    engine = openvino_engine(manifest)
    assert engine is not None
    assert engine.backend == "openvino"
    others = [item for item in manifest.engines if item.backend != "openvino"]
    assert openvino_engine(manifest.model_copy(update={"engines": others})) is None
    size = manifest.preprocessing.size
    for batch in (1, 8):
        median = benchmark_app(bundle_path / engine.file, (batch, 3, size, size), 1, 5, tmp_path)
        assert 0.01 < median < 10_000
    with pytest.raises(LnlAttenNetError, match="benchmark_app failed"):
        benchmark_app(bundle_path / engine.file, (1, 4, size, size), 1, 5, tmp_path)


def test_without_openvino_its_tool_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert openvino_engine(manifest(engine("openvino-int8"))) is not None

    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    assert openvino_engine(manifest(engine("openvino-int8"))) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "compilers",
    [(), pytest.param((COMPILED, AOTI), marks=pytest.mark.exhaustive)],
    ids=["plain", "compilers"],
)
def test_every_candidate_is_measured_in_a_process_of_its_own(
    compilers: tuple[str, ...],
    bundle_path: Path,
    checkpoint_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--bundle", str(bundle_path), "--checkpoint", str(checkpoint_path)]
    arguments += ["--earlier", sys.executable, "--earlier-bundle", str(bundle_path)]
    arguments += [] if compilers else ["--no-compilers"]
    assert benchmark.run([*arguments, "--rounds", "10", "--starts", "1", "--faces", "8", "--json"]) == 0
    record = json.loads(capfd.readouterr().out)
    assert record["machine"]["threads"] == usable_cpus()  # not torch's number in this process, which is 1
    assert [case["name"] for case in record["cases"]] == ["b1", "b8"]
    for case in record["cases"]:
        assert set(case["candidates"]) == {OURS, EAGER, ONNX_RUNTIME, EARLIER, NNCF, *compilers}
        for result in case["candidates"].values():
            assert len(result["timings"]["warm"]["samples_us"]) == 10
    for name in (EAGER, *compilers):
        assert record["answers"][name]["top1_agreement"] == 1
    assert [len(medians) for medians in record["benchmark_app"]["median_ms"].values()] == [1, 1]
    assert len(record["requirements"]) == 10
    assert {row["status"] for row in record["requirements"]} <= {"reached", "missed", "undecided"}
