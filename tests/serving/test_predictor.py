"""Predictions: their JSON form, and a bundle run in this process."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._prediction import Prediction, predictions_from_outputs, softmax
from lnlattennet.errors import BundleError, ImageError
from lnlattennet.images._face_crop import FaceLocation
from lnlattennet.serving._predictor import LocalPredictor

astronaut: Callable[[], NDArray[np.uint8]] = data.astronaut

NAMES = ["calm", "glad", "sad"]


def outputs(batch: int = 2, grid: int = 2) -> dict[str, NDArray[np.generic]]:
    generator = np.random.default_rng(5)
    logits = generator.normal(size=(batch, len(NAMES))).astype(np.float32)
    regions = grid * grid
    return {
        "logits": logits,
        "region_weights": softmax(generator.normal(size=(batch, regions)).astype(np.float32)),
        "region_affinity": softmax(generator.normal(size=(batch, regions, regions)).astype(np.float32)),
    }


POINTS = ((8.1, 9.0), (24.0, 9.0), (16.0, 18.0), (10.0, 26.0), (22.0, 26.0))
FACES = [
    FaceLocation(box=(1.0, 2.0, 33.0, 34.0), status="ok", score=0.9, landmarks=POINTS),
    FaceLocation(box=(1.0, 2.0, 33.0, 34.0), status="no_face", score=0.0),
]


def encoded(count: int) -> list[bytes]:
    portrait = astronaut()
    streams = [io.BytesIO() for _ in range(count)]
    for index, stream in enumerate(streams):
        Image.fromarray(np.roll(portrait, 20 * index, axis=1)).save(stream, "JPEG")
    return [stream.getvalue() for stream in streams]


def assert_close(answers: list[Prediction], expected: list[Prediction]) -> None:
    assert len(answers) == len(expected)
    for answer, other in zip(answers, expected, strict=True):
        assert answer.label == other.label
        assert answer.face_box == other.face_box
        for name in ("logits", "region_weights", "region_affinity"):
            np.testing.assert_allclose(getattr(answer, name), getattr(other, name), atol=1e-4, err_msg=name)


def test_the_entropy_is_that_of_the_probabilities() -> None:
    arrays = outputs()
    arrays["logits"][:] = [[0, 0, 0], [0, 500, -500]]
    guess, sure = predictions_from_outputs(arrays, NAMES, FACES)
    assert guess.entropy == pytest.approx(np.log(3))
    assert sure.entropy == sure.to_dict()["entropy"] == 0


def test_each_sample_becomes_a_prediction() -> None:
    arrays = outputs()
    first, second = predictions_from_outputs(arrays, NAMES, FACES)
    assert first.label == NAMES[int(arrays["logits"][0].argmax())]
    assert list(first.probabilities) == NAMES
    assert first.probabilities[first.label] == max(first.probabilities.values())
    np.testing.assert_array_equal(
        np.array(second.region_weights, dtype=np.float32), arrays["region_weights"][1].reshape(2, 2)
    )
    np.testing.assert_array_equal(
        np.array(second.region_affinity, dtype=np.float32), arrays["region_affinity"][1]
    )
    assert first.face_box == (1, 2, 33, 34)
    assert first.face_found is True
    assert second.face_found is False
    assert (first.status, second.status) == ("ok", "no_face")
    assert first.face_score == pytest.approx(0.9)
    assert (second.face_score, second.face_landmarks) == (0, None)
    np.testing.assert_allclose(np.array(first.face_landmarks), POINTS, rtol=1e-6)


def test_the_dictionary_is_plain_json() -> None:
    (prediction,) = predictions_from_outputs(outputs(1), NAMES, FACES[:1])
    document = json.loads(json.dumps(prediction.to_dict()))
    assert document == prediction.to_dict()
    fields = set(Prediction.__dataclass_fields__) - {"image", "image_scale"}
    assert set(document) == fields | {"entropy"}
    assert document["face_box"] == [1, 2, 33, 34]


def test_batches_larger_than_the_engines_are_split(bundle_path: Path) -> None:
    bundle = Bundle.load(bundle_path)
    largest = bundle.manifest.engine().batch[2]
    images = encoded(largest + 2)
    predictor = LocalPredictor(bundle, threads=1)
    one_by_one = [prediction for image in images for prediction in predictor.predict([image])]
    assert_close(predictor.predict(images), one_by_one)
    assert one_by_one[0].face_found
    assert predictor.predict([]) == []


def test_batches_smaller_than_the_engines_are_filled_up(bundle_path: Path, tmp_path: Path) -> None:
    fussy = shutil.copytree(bundle_path, tmp_path / "fussy")
    manifest = json.loads((fussy / "manifest.json").read_text())
    for engine in manifest["engines"]:
        engine["batch"] = [3, 3, 4]
    (fussy / "manifest.json").write_text(json.dumps(manifest))
    images = encoded(5)
    expected = LocalPredictor(Bundle.load(bundle_path)).predict(images)
    assert_close(LocalPredictor(Bundle.load(fussy)).predict(images), expected)


def test_every_engine_answers_alike(bundle_path: Path) -> None:
    bundle = Bundle.load(bundle_path)
    images = encoded(2)
    expected = LocalPredictor(bundle).predict(images)
    for engine in bundle.manifest.engines:
        if engine.status == "passed":
            assert_close(LocalPredictor(bundle, engine.name).predict(images), expected)


def test_an_unknown_engine_is_refused(bundle_path: Path) -> None:
    with pytest.raises(BundleError, match="no engine 'warp'"):
        LocalPredictor(Bundle.load(bundle_path), "warp")


def test_a_damaged_image_is_refused(bundle_path: Path) -> None:
    with pytest.raises(ImageError, match="got GIF"):
        LocalPredictor(Bundle.load(bundle_path)).predict([*encoded(1), b"GIF89a"])


def test_predicting_needs_no_torch() -> None:
    code = (
        "import sys, lnlattennet; lnlattennet.load;"
        "print([name for name in ('torch', 'tritonclient', 'onnxruntime') if name in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
