"""Engines take any number of faces, and images of any size, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lnlattennet import Bundle
from lnlattennet.bundle._engine import Engine
from lnlattennet.errors import BundleError, ImageError
from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.model._preprocessing import center_square
from lnlattennet.runtimes._base import Arrays


def images(count: int, height: int = 48, width: int = 48) -> NDArray[np.uint8]:
    return np.random.default_rng(count).integers(0, 256, (count, height, width, 3), np.uint8)


class Echo:
    """Answers with the sum of each face, and remembers the batches that it was given."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        faces = inputs["image"]
        self.sizes.append(len(faces))
        return {"logits": faces.sum(axis=(1, 2, 3))[:, None]}

    def check(self, outputs: Arrays, batch: int) -> None:
        assert len(outputs["logits"]) == batch == self.sizes[-1]


@given(st.integers(0, 40), st.integers(1, 6), st.integers(0, 6))
@settings(deadline=None)
def test_batches_stay_in_range_and_answers_in_order(count: int, smallest: int, more: int) -> None:
    echo = Echo()
    faces = np.random.default_rng(count).standard_normal((count, 3, 2, 2)).astype(np.float32)
    found = Engine(echo, smallest, smallest + more, echo.check)(faces)["logits"]
    np.testing.assert_array_equal(found[:, 0], faces.sum(axis=(1, 2, 3)))
    assert all(smallest <= size <= smallest + more for size in echo.sizes)


def test_a_bundle_predicts_what_the_checkpoint_does(bundle_path: Path, checkpoint_path: Path) -> None:
    import torch

    bundle, checkpoint = Bundle.load(bundle_path), load_checkpoint(checkpoint_path)
    faces = images(21)
    with torch.inference_mode():
        expected = checkpoint.network()(torch.from_numpy(checkpoint.info.preprocessing.normalize(faces)))
    for engine in (None, "onnxruntime-fp32", "openvino-fp32"):
        found = bundle.predict(faces, engine)
        names = checkpoint.info.class_names
        for index, prediction in enumerate(found):
            probabilities = list(prediction.probabilities.values())
            weights = np.ravel(prediction.region_weights)
            np.testing.assert_allclose(prediction.logits, expected.logits[index], atol=1e-4)
            np.testing.assert_allclose(probabilities, expected.logits[index].softmax(0), atol=1e-4)
            np.testing.assert_allclose(weights, expected.region_weights[index], atol=1e-5)
            np.testing.assert_allclose(prediction.region_affinity, expected.region_affinity[index], atol=1e-5)
            assert prediction.label == names[expected.logits[index].argmax()]
            assert tuple(prediction.probabilities) == names
        assert len(found) == len(faces)


def test_images_of_other_sizes_are_cut_and_resized_as_the_checkpoint_says(bundle_path: Path) -> None:
    bundle = Bundle.load(bundle_path)
    wide, tall = images(1, 60, 90)[0], images(2, 130, 70)[1]
    preprocessing = bundle.manifest.preprocessing
    prepared = np.stack(
        [preprocessing.crop(face, center_square(face.shape[1], face.shape[0])) for face in (wide, tall)]
    )
    predictions = bundle.predict([wide, tall])
    assert [prediction.logits for prediction in predictions] == [
        prediction.logits for prediction in bundle.predict(prepared)
    ]
    assert [prediction.face_box for prediction in predictions] == [(15, 0, 75, 60), (0, 30, 70, 100)]


def test_no_images_give_no_predictions(bundle_path: Path) -> None:
    assert Bundle.load(bundle_path).predict([]) == []


def logits_of(bundle: Bundle, faces: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.array([prediction.logits for prediction in bundle.predict(faces)])


def test_threads_share_one_engine_and_get_their_own_answers(bundle_path: Path) -> None:
    bundle = Bundle.load(bundle_path)
    batches = [images(count) for count in range(1, 13)]
    expected = [logits_of(bundle, batch) for batch in batches]
    barrier = threading.Barrier(4)

    def ask(index: int) -> NDArray[np.float64]:
        if index < 4:
            barrier.wait(20)
        return logits_of(bundle, batches[index])

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(12)))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert bundle.engine() is bundle.engine()


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (
            np.zeros((2, 48, 48, 3), np.float32),
            r"face 0: .* RGB uint8 .* got float32 \[48, 48, 3\]",
        ),
        (
            [np.zeros((48, 48, 3), np.uint8), np.zeros((48, 48), np.uint8)],
            r"face 1: .* got uint8 \[48, 48\]",
        ),
        ([np.zeros((0, 48, 3), np.uint8)], "face 0: an image must be RGB uint8"),
        (np.zeros((1, 48, 48, 4), np.uint8), "face 0: an image must be RGB uint8"),
    ],
)
def test_other_arrays_are_refused_with_their_index(bundle_path: Path, batch: object, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        Bundle.load(bundle_path).predict(batch)  # type: ignore[arg-type]


def test_an_unknown_engine_is_refused_with_the_known_ones(bundle_path: Path) -> None:
    with pytest.raises(BundleError, match="no engine 'x'; it has: onnxruntime-fp32"):
        Bundle.load(bundle_path).predict(images(1), engine="x")
