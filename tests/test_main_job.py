"""The main job with the demo checkpoint: export, serve, and the same answer for an image everywhere."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.export._cli import main
from lnlattennet.images._face_crop import FaceCropper
from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.serving._predictor import LocalPredictor
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.triton._process import TritonProcess
from tests.commands import call

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(demo_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The document of `export-engine … --json`, with the bundle's folder as "bundle"."""
    folder = tmp_path_factory.mktemp("main") / "demo"
    command = ["--checkpoint", demo_checkpoint, "-o", folder, "--json"]
    # Few faces and small batches: the gate and the batch sizes have their own tests.
    command += ["--verification-faces", 32, "--batch", "1:2:4"]
    # Those that build in a moment; a compiled engine has its own tests.
    command += [word for name in ("onnxruntime", "openvino", "tensorrt") for word in ("--backend", name)]
    done = call(main, "export-engine", *command)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document | {"bundle": folder}


@pytest.fixture(scope="module")
def demo_server(
    report: dict[str, Any], serve: Callable[[Path], AbstractContextManager[TritonProcess]]
) -> Iterator[TritonProcess]:
    with serve(report["bundle"]) as process:
        yield process


@pytest.fixture(scope="module")
def portrait() -> bytes:
    """Eileen Collins, NASA 1999, public domain, as scikit-image ships it."""
    stream = io.BytesIO()
    pixels = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def test_at_least_two_engines_are_measured_and_one_real_plan_is_built(report: dict[str, Any]) -> None:
    measured = [engine for engine in report["engines"] if engine["status"] == "passed"]
    assert len(measured) >= 2
    for engine in measured:
        [difference] = [
            check["value"]
            for check in engine["checks"]
            if (check["metric"], check["output"]) == ("max_abs", "logits")
        ]
        assert difference <= 1e-4
    plan = next(report["bundle"].glob("engines/*/*.plan"))
    assert plan.stat().st_size > 100_000


@pytest.mark.parametrize("model", ["expression", "expression_fused"])
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_served_answer_is_that_of_the_bundle_and_of_torch(
    protocol: str,
    model: str,
    report: dict[str, Any],
    demo_server: TritonProcess,
    demo_checkpoint: Path,
    portrait: bytes,
) -> None:
    with Client(getattr(demo_server.endpoints, protocol), model) as client:
        served = client.predict([portrait])[0]
    local = LocalPredictor(Bundle.load(report["bundle"])).predict([portrait])[0]
    checkpoint = load_checkpoint(demo_checkpoint)
    prepared = FaceCropper(checkpoint.info.preprocessing)(portrait)
    face = checkpoint.info.preprocessing.normalize(prepared.face)
    with torch.inference_mode():
        expected = checkpoint.network()(torch.from_numpy(face)[None])
    assert served.face_found
    assert served.face_box == pytest.approx(prepared.box)
    for answer in (served, local):
        np.testing.assert_allclose(answer.logits, expected.logits[0], atol=1e-4)
        np.testing.assert_allclose(np.ravel(answer.region_weights), expected.region_weights[0], atol=1e-4)
        np.testing.assert_allclose(answer.region_affinity, expected.region_affinity[0], atol=1e-4)
        probabilities = list(answer.probabilities.values())
        np.testing.assert_allclose(probabilities, expected.logits[0].softmax(0), atol=1e-4)
        assert list(answer.probabilities) == list(checkpoint.info.class_names)
    assert served.label == local.label == checkpoint.info.class_names[int(expected.logits[0].argmax())]
