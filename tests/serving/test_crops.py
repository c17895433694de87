"""Ready crops: a server answers them as the bundle does in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._prediction import Prediction
from lnlattennet.errors import ImageError
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.triton._process import TritonProcess

pytest.importorskip("tritonclient")


@pytest.fixture(scope="module")
def bundle(bundle_path: Path) -> Bundle:
    return Bundle.load(bundle_path)


@pytest.fixture(scope="module", params=["grpc", "http"])
def client(request: pytest.FixtureRequest, server: TritonProcess) -> Iterator[Client]:
    with Client(getattr(server.endpoints, request.param)) as connected:
        yield connected


def pixels(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(sum(shape)).integers(0, 256, (*shape, 3), np.uint8)


def assert_same(answers: list[Prediction], expected: list[Prediction]) -> None:
    assert len(answers) == len(expected)
    for answer, wanted in zip(answers, expected, strict=True):
        assert (answer.label, answer.face_box, answer.status) == (
            wanted.label,
            wanted.face_box,
            wanted.status,
        )
        assert (answer.model_hash, answer.preprocessing_id) == (wanted.model_hash, wanted.preprocessing_id)
        np.testing.assert_allclose(answer.logits, wanted.logits, atol=1e-4)
        np.testing.assert_allclose(answer.region_affinity, wanted.region_affinity, atol=1e-4)


@pytest.mark.parametrize("shape", [(3, 48, 48), (2, 70, 50), (11, 16, 90), (0, 48, 48)])
def test_crops_of_any_size_get_the_bundles_answers(
    client: Client, bundle: Bundle, shape: tuple[int, ...]
) -> None:
    """The largest batch of the engine is 8."""
    crops = pixels(*shape)
    assert_same(client.predict_crops(crops), bundle.predict(crops) if len(crops) else [])


def test_crops_of_several_sizes_keep_their_order(client: Client, bundle: Bundle) -> None:
    crops = [pixels(60, 40), pixels(60, 40)[::-1], pixels(48, 48), pixels(60, 40)[:, ::-1]]
    assert_same(client.predict_crops(crops), bundle.predict(crops))


def test_no_crops_have_no_answers(client: Client) -> None:
    assert client.predict_crops([]) == client.predict_crops(np.empty((0, 3, 48, 48), np.float32)) == []


def test_normalized_faces_go_to_the_engine(client: Client, bundle: Bundle) -> None:
    crops = pixels(10, 48, 48)
    faces = bundle.manifest.preprocessing.normalize(crops)
    assert_same(client.predict_crops(faces), bundle.predict(crops))


@pytest.mark.parametrize(
    ("crops", "message"),
    [
        (np.zeros((2, 8, 40, 3), np.uint8), "must have at least 16 pixels on each side, got 40 x 8"),
        (np.zeros((2, 40, 40), np.uint8), r"an array \[n, height, width, 3\] .* got uint8 \[2, 40, 40\]"),
        (np.zeros((2, 40, 40, 3)), r"got float64 \[40, 40, 3\]; scale it to 0..255"),
        (
            np.zeros((2, 40, 40, 3), np.float32),
            r"must be float32 \[n, 3, S, S\] with n > 0, got float32 \[2, 40, 40, 3\]",
        ),
        (np.full((2, 3, 48, 48), np.nan, np.float32), "face 0 holds numbers that are not finite"),
        (np.zeros((2, 3, 40, 40), np.float32), r"shape"),
    ],
)
def test_other_crops_are_refused(client: Client, crops: NDArray[np.uint8], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        client.predict_crops(crops)


@pytest.mark.parametrize("refused", [pixels(8, 40), pixels(40, 40).astype(np.float64)])
def test_a_refused_crop_is_named(client: Client, refused: NDArray[np.uint8]) -> None:
    """Also among crops of other sizes, and behind more than a batch of them."""
    crops = [*pixels(10, 48, 48), refused, pixels(60, 40)]
    with pytest.raises(ImageError, match=r"^image 10 of the batch: an image must"):
        client.predict_crops(crops)
