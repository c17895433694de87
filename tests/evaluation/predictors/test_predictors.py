"""Checkpoint, bundle and server behind one interface: the same faces, the same predictions."""

from __future__ import annotations

import dataclasses
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.data.synthetic import EXPRESSIONS
from lnlattennet.errors import (
    BundleError,
    CheckpointError,
    LnlAttenNetError,
    ServingError,
    UnavailableError,
    UsageError,
)
from lnlattennet.evaluation.predictors._open import open_predictor
from lnlattennet.evaluation.predictors._server import read_model_parameters
from lnlattennet.model._checkpoint import load_checkpoint, save_checkpoint
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.serving.triton._process import TritonProcess

astronaut: Callable[[], NDArray[np.uint8]] = data.astronaut


def faces_of(count: int, size: int = 48, seed: int = 0) -> NDArray[np.uint8]:
    """Crops around one photographed face, each shifted and shaded in its own way."""
    rng = np.random.default_rng(seed)
    preprocessing, image = Preprocessing(size=size), astronaut()
    crops = []
    for _ in range(count):
        left, top, side = rng.integers(130, 160), rng.integers(10, 40), rng.integers(150, 185)
        crop = preprocessing.crop(image, (left, top, left + side, top + side))
        crops.append((crop * rng.uniform(0.5, 1.0, 3)).astype(np.uint8))
    return np.stack(crops)


def test_a_checkpoint_gives_what_its_network_gives(checkpoint_path: Path) -> None:
    faces = faces_of(70)
    checkpoint = load_checkpoint(checkpoint_path)
    with torch.inference_mode():
        images = torch.from_numpy(checkpoint.info.preprocessing.normalize(faces))
        expected = checkpoint.network()(images)
    with open_predictor(str(checkpoint_path)) as predictor:
        found = predictor.predict(faces)
        assert predictor.class_names == EXPRESSIONS
        assert predictor.preprocessing == checkpoint.info.preprocessing
        assert predictor.grid == 4
        assert predictor.temperature is None
        assert predictor.description["kind"] == "checkpoint"
    np.testing.assert_allclose(found["logits"], expected.logits.numpy(), atol=1e-4)
    np.testing.assert_allclose(found["region_weights"], expected.region_weights.numpy(), atol=1e-5)
    np.testing.assert_allclose(found["region_weights"].sum(axis=1), 1, atol=1e-5)


def test_on_a_gpu_a_checkpoint_would_run_in_full_float32_and_by_cudnn(
    checkpoint_path: Path, cudnn_settings: set[tuple[bool, bool]]
) -> None:
    with open_predictor(str(checkpoint_path)) as predictor:
        predictor.predict(faces_of(1))
    assert cudnn_settings == {(True, False)}


def test_every_engine_of_a_bundle_gives_what_the_checkpoint_gives(
    bundle_path: Path, checkpoint_path: Path
) -> None:
    """21 faces are three batches of 8, the last one short."""
    faces = faces_of(21)
    with open_predictor(str(checkpoint_path)) as predictor:
        expected = predictor.predict(faces)
    manifest = Bundle.load(bundle_path).manifest
    names = [engine.name for engine in manifest.engines if engine.status == "passed"]
    assert len(names) >= 2
    for name in (None, *names):
        with open_predictor(str(bundle_path), name) as predictor:
            found = predictor.predict(faces)
            assert predictor.description["engine"] == (name or manifest.selected)
            assert predictor.description["checkpoint_sha256"] == manifest.checkpoint_sha256
        np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-4)
        np.testing.assert_allclose(found["region_weights"], expected["region_weights"], atol=1e-5)


def test_a_bundle_is_evaluated_without_torch(bundle_path: Path, tmp_path: Path) -> None:
    for name in EXPRESSIONS:
        (tmp_path / "test" / name).mkdir(parents=True)
        Image.fromarray(faces_of(1)[0]).save(tmp_path / "test" / name / "1.png")
    code = (
        "import sys\n"
        "from lnlattennet.evaluation._evaluate import EvaluationOptions, evaluate\n"
        "options = EvaluationOptions(model=sys.argv[1], data=sys.argv[2], engine='onnxruntime-fp32')\n"
        "assert evaluate(options).document.figures.faces == 7\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(bundle_path), str(tmp_path)],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert not {"torch", "lightning", "torchmetrics"} & set(done.stdout.split())


def test_a_checkpoint_without_torch_names_the_extra(
    checkpoint_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "lnlattennet.evaluation.predictors._checkpoint", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    message = str(refusal(str(checkpoint_path)))
    assert message.endswith("'torch', which is not installed: pip install 'lnlattennet[export]'")


def test_the_temperature_comes_with_a_checkpoint_and_with_its_bundle(
    checkpoint_path: Path, bundle_path: Path, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    info = dataclasses.replace(checkpoint.info, provenance={"temperature": 1.75})
    save_checkpoint(tmp_path / "scaled.safetensors", checkpoint.network(), info)
    copy = Path(shutil.copytree(bundle_path, tmp_path / "bundle"))
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"provenance": info.provenance}))
    for model in (tmp_path / "scaled.safetensors", copy):
        with open_predictor(str(model)) as predictor:
            assert predictor.temperature == 1.75


def refusal(model: str, engine: str | None = None) -> LnlAttenNetError:
    with pytest.raises(LnlAttenNetError) as caught, open_predictor(model, engine):
        pass
    return caught.value


def test_an_unknown_model_names_the_accepted_kinds(
    checkpoint_path: Path, bundle_path: Path, tmp_path: Path
) -> None:
    missing = refusal(str(tmp_path / "nothing.safetensors"))
    assert isinstance(missing, CheckpointError)
    assert "must be a checkpoint file, a bundle folder, or a server's" in str(missing)
    assert isinstance(refusal(str(tmp_path)), BundleError)
    assert "no engine 'int4'" in str(refusal(str(bundle_path), "int4"))
    for model in (str(checkpoint_path), "grpc://127.0.0.1:8001"):
        assert f"{model} is no bundle folder" in str(refusal(model, "openvino-fp32"))
    plan = Bundle.load(bundle_path).manifest.engine("tensorrt-fp32")
    if plan.status == "built, not run":
        assert isinstance(refusal(str(bundle_path), "tensorrt-fp32"), UnavailableError)


def test_without_a_server_there_is_a_message() -> None:
    assert isinstance(refusal("ftp://127.0.0.1:80"), UsageError)
    with socket.create_server(("127.0.0.1", 0)) as closed_again:
        port = closed_again.getsockname()[1]
    for scheme in ("grpc", "http"):
        error = refusal(f"{scheme}://127.0.0.1:{port}")
        assert isinstance(error, ServingError)
        assert "lnlattennet serve BUNDLE" in str(error)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"class_names": "[]", "grid": "4"}, "preprocessing"),
        ({"preprocessing": '{"size": 48}'}, "provenance"),
        ({"preprocessing": "[]", "provenance": "{}"}, "must be JSON objects"),
        ({"preprocessing": '{"size": 48}', "provenance": "null"}, "must be JSON objects"),
        ({"preprocessing": '{"size": 48', "provenance": "{}"}, "delimiter"),
        ({"preprocessing": '{"size": 48, "gamma": 2}', "provenance": "{}"}, "gamma"),
    ],
)
def test_a_server_of_another_version_is_not_compared(parameters: dict[str, str], reason: str) -> None:
    with pytest.raises(ServingError, match="serve the bundle with this version") as caught:
        read_model_parameters(parameters)
    assert reason in str(caught.value)


@pytest.mark.slow
def test_a_server_gives_what_the_checkpoint_gives(server: TritonProcess, checkpoint_path: Path) -> None:
    """Photographed faces, that the server would find and crop if they were sent as they are."""
    faces = faces_of(19)
    with open_predictor(str(checkpoint_path)) as predictor:
        expected = predictor.predict(faces)
    for url in (server.endpoints.grpc, server.endpoints.http):
        with open_predictor(url) as predictor:
            assert predictor.class_names == EXPRESSIONS
            assert predictor.preprocessing.size == 48
            found = predictor.predict(faces)
            np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-4)
            np.testing.assert_allclose(found["region_weights"], expected["region_weights"], atol=1e-5)
