"""Bundles whose selected engine cannot run here: what the error names, and `any` in place of a name."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lnlattennet.bundle._bundle import Bundle, hash_file
from lnlattennet.errors import BundleError, UnavailableError
from lnlattennet.evaluation.predictors._bundle import bundle_predictor
from lnlattennet.runtimes import _openvino
from lnlattennet.runtimes._base import Unavailable
from lnlattennet.serving._predictor import load

FACES = np.random.default_rng(2).integers(0, 256, (2, 60, 60, 3), dtype=np.uint8)


def write_manifest(bundle: Path, **fields: Any) -> None:
    path = bundle / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.fixture
def missing(bundle_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle that selects an engine of OpenVINO, on a machine without OpenVINO."""
    write_manifest(bundle_copy, selected="openvino-fp32")
    monkeypatch.setattr(_openvino, "availability", lambda: Unavailable("'openvino' is not installed"))
    version = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: version(name.replace("openvino", "no-such-package"))
    )
    return bundle_copy


@pytest.mark.parametrize(
    "use",
    [lambda path: Bundle.load(path).predict(FACES), load, bundle_predictor],
    ids=["predict", "load", "evaluate"],
)
def test_a_missing_runtime_names_the_engines_that_run_here(missing: Path, use: Any) -> None:
    with pytest.raises(UnavailableError) as refused:
        use(missing)
    assert str(refused.value) == (
        "engine openvino-fp32 cannot run here: 'openvino' is not installed. Engines of the bundle that can: "
        "onnxruntime-fp32; name one with --engine, or take --engine any"
    )


def test_any_takes_an_engine_that_runs_and_says_so(missing: Path, caplog: pytest.LogCaptureFixture) -> None:
    bundle = Bundle.load(missing)
    found = bundle.predict(FACES, engine="any", threads=1)
    wanted = bundle.predict(FACES, engine="onnxruntime-fp32", threads=1)
    assert [one.probabilities for one in found] == [one.probabilities for one in wanted]
    bundle.predict(FACES, engine="any", threads=1)
    said = "openvino-fp32, the selected engine, cannot run here: onnxruntime-fp32 does"
    assert [record.message for record in caplog.records].count(said) == 1
    assert bundle_predictor(missing, "any").description["engine"] == "onnxruntime-fp32"


def test_any_takes_the_selected_engine_where_it_runs(bundle_copy: Path) -> None:
    for name in ("openvino-fp32", "onnxruntime-fp32"):
        write_manifest(bundle_copy, selected=name)
        assert Bundle.load(bundle_copy).engine_name("any", threads=1) == name


def test_any_passes_over_an_engine_that_does_not_load(bundle_copy: Path) -> None:
    document = json.loads((bundle_copy / "manifest.json").read_text())
    file = next(one["file"] for one in document["engines"] if one["name"] == "openvino-fp32")
    (bundle_copy / file).write_bytes(b"no graph")
    document["files"][file] = hash_file(bundle_copy / file).model_dump()
    write_manifest(bundle_copy, selected="openvino-fp32", files=document["files"])
    assert Bundle.load(bundle_copy).engine_name("any", threads=1) == "onnxruntime-fp32"


def test_if_no_engine_runs_the_error_says_who_knows_more(missing: Path) -> None:
    document = json.loads((missing / "manifest.json").read_text())
    engines = [one for one in document["engines"] if one["name"] == "openvino-fp32"]
    write_manifest(missing, engines=engines)
    with pytest.raises(UnavailableError, match=r"cannot run here.* Engines of the bundle that can: none"):
        Bundle.load(missing).predict(FACES)
    with pytest.raises(UnavailableError, match=rf"no engine of .* runs here \(lnlattennet doctor {missing}"):
        Bundle.load(missing).predict(FACES, engine="any")


def test_a_runner_says_what_it_takes(bundle_path: Path) -> None:
    run = Bundle.load(bundle_path).runner("onnxruntime-fp32", threads=1)
    faces = np.zeros((1, 3, 48, 48), np.float32)
    assert run({"image": faces})["logits"].shape == (1, 7)
    for wrong, given in (
        (faces, "ndarray"),
        ([faces], "list"),
        (None, "NoneType"),
        ({"input": faces}, "the keys 'input'"),
        ({}, "the keys "),
    ):
        with pytest.raises(TypeError, match=rf'takes {{"image": float32 \[n, 3, S, S\]}}.* got {given}'):
            run(wrong)  # type: ignore[arg-type]


def test_bundles_and_predictions_print_in_a_few_lines(bundle_path: Path) -> None:
    bundle = Bundle.load(bundle_path)
    assert repr(bundle).startswith(f"<Bundle {str(bundle_path)!r}: onnxruntime-fp32, openvino-fp32")
    assert repr(bundle).endswith("is selected>")
    [prediction] = bundle.predict(FACES[:1], engine="onnxruntime-fp32")
    assert len(repr(prediction)) < 600
    assert f"label={prediction.label!r}" in repr(prediction)
    with pytest.raises(BundleError, match="no engine 'some'"):
        bundle.engine_name("some")
