"""Forms of an image: a client takes those of bytes, as a bundle here does, and sends nothing else."""

from __future__ import annotations

import array
import base64
import io
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage import data

import lnlattennet
from lnlattennet.errors import ImageError, ImageTypeError, UsageError
from lnlattennet.serving._predictor import LocalPredictor
from lnlattennet.serving.client import _client
from lnlattennet.serving.client._calls import ReadConfig
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.client._connection import Connection
from lnlattennet.serving.triton._process import TritonProcess

pytest.importorskip("tritonclient")

astronaut: Callable[[], NDArray[np.uint8]] = data.astronaut
portrait = astronaut()
png: NDArray[np.uint8] = cv2.imencode(".png", portrait[..., ::-1])[1]
encoded = png.tobytes()


def mapped() -> mmap.mmap:
    memory = mmap.mmap(-1, len(encoded))
    memory.write(encoded)
    return memory


def released() -> memoryview:
    view = memoryview(encoded)
    view.release()
    return view


BYTES_LIKE: dict[str, Any] = {
    "bytes": encoded,
    "bytearray": bytearray(encoded),
    "memoryview": memoryview(encoded),
    "part of a memoryview": memoryview(b"head" + encoded + b"tail")[4:-4],
    "cv2.imencode": png,
    "cv2.imencode before 4.5": png.reshape(-1, 1),
    "np.fromfile": np.frombuffer(encoded, np.uint8)[None],
    "np.bytes_": np.bytes_(encoded),
    "array.array": array.array("B", encoded),
    "mmap": mapped(),
}

NO_IMAGES: dict[str, tuple[Any, str]] = {
    "None, as of cv2.imread": (None, "cv2.imread gives None"),
    "a number": (7, r"Path\(path\)\.read_bytes\(\)"),
    "the answer of cv2.imencode in a list": (
        [cv2.imencode(".png", portrait)],
        "cv2.imencode's .* pass data",
    ),
    "the answer of cv2.imencode": (
        cv2.imencode(".png", portrait),
        "image 0 .*cv2.imencode's .* pass data",
    ),
    "a list of a list": ([[encoded]], "one list of images that holds no other list"),
    "a generator": ((image for image in [encoded]), "pass several images as a list"),
    "a dictionary": ({"image": encoded}, "pass several images as a list"),
    "a tensor": (torch.frombuffer(bytearray(encoded), dtype=torch.uint8), r"numpy\(\)"),
}

NOT_SENT: dict[str, tuple[Any, str]] = {
    "a path": ("/home/anna/face.jpg", r"Path\(path\)\.read_bytes\(\)"),
    "a Path": (Path("/home/anna/face.jpg"), r"Path\(path\)\.read_bytes\(\)"),
    "a released memoryview": (released(), r"what its tobytes\(\) gives"),
    "an array of shorts": (array.array("h", encoded[:100]), r"what its tobytes\(\) gives"),
    "base64": (base64.b64encode(encoded).decode(), "it is a PNG file as base64 text; decode it"),
    "a data URL": (
        "data:image/png;base64," + base64.b64encode(encoded).decode(),
        "it is a data URL of a PNG file; decode it",
    ),
    "an array of pixels": (portrait, r"encode an RGB image: cv2\.imencode"),
    "an array of gray pixels": (portrait[..., 0], r"encode an RGB image: cv2\.imencode"),
    "a file": (io.BytesIO(encoded), r"what its read\(\) gives"),
    "a Pillow image": (Image.fromarray(portrait), r"save it: image\.save"),
    "a tensor for Triton": (np.array([[encoded]], np.object_), "pass several images as a list"),
    "a shortened tensor for Triton": (np.array([[encoded]]), "pass several images as a list"),
}


class Silent(Connection):
    """A connection that must not be used once the model is described."""

    def _answer(self, call: object, begun: bool) -> Any:
        assert isinstance(call, ReadConfig), "something was sent"
        return {"parameters": {"class_names": {"string_value": '["a"]'}, "grid": {"string_value": "1"}}}


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(_client, "Connection", Silent)
    return Client("grpc://127.0.0.1:8001")


@pytest.fixture(scope="module")
def local(bundle_path: Path) -> LocalPredictor:
    return lnlattennet.load(bundle_path)


@pytest.fixture(scope="module", params=["grpc", "http"])
def client(request: pytest.FixtureRequest, server: TritonProcess) -> Iterator[Client]:
    with Client(getattr(server.endpoints, request.param)) as connected:
        yield connected


@pytest.mark.parametrize("form", BYTES_LIKE)
def test_anything_like_bytes_is_predicted(client: Client, local: LocalPredictor, form: str) -> None:
    image = BYTES_LIKE[form]
    expected = local.predict(portrait)
    for model in (local, client):
        alone = model.predict(image)
        assert (alone.label, alone.face_box) == (expected.label, expected.face_box)
        assert model.predict([image]) == model.predict((image,)) == [alone]
        assert model.predict(image, max_faces=1)[0].face_box == expected.face_box
        assert model.predict([image], max_faces=1)[0][0].face_box == expected.face_box


@pytest.mark.parametrize("case", NO_IMAGES)
def test_what_is_no_image_is_the_same_error_everywhere(
    silent: Client, local: LocalPredictor, case: str
) -> None:
    image, message = NO_IMAGES[case]
    for model in (silent, local):
        for limits in ({}, {"max_faces": 2}):
            with pytest.raises(TypeError, match=message) as caught:
                model.predict(image, **limits)
            assert isinstance(caught.value, ImageError)


@pytest.mark.parametrize("case", NOT_SENT)
def test_nothing_but_bytes_is_sent(silent: Client, case: str) -> None:
    image, message = NOT_SENT[case]
    with pytest.raises(ImageTypeError, match=f"^an image must be the bytes of a JPEG or PNG file.*{message}"):
        silent.predict(image)
    with pytest.raises(ImageTypeError, match=r"^image 1 of the batch: an image must be the bytes"):
        silent.predict([encoded, image], max_faces=1)


@pytest.mark.parametrize("form", ["base64", "a data URL"])
def test_encoded_text_is_told_from_a_path(local: LocalPredictor, form: str) -> None:
    text = NOT_SENT[form][0]
    with pytest.raises(ImageError, match=r"path of a file or its bytes, got a .*PNG file.*; decode it"):
        local.predict(text)


def test_base64_is_refused_with_a_hint_by_the_server(client: Client, local: LocalPredictor) -> None:
    for model in (client, local):
        with pytest.raises(
            ImageError, match=r"^an image must be .* got a PNG file as base64 text; decode it"
        ):
            model.predict(base64.b64encode(encoded))


def test_a_file_that_was_read_already_is_told(local: LocalPredictor) -> None:
    file = io.BytesIO(encoded)
    file.read()
    with pytest.raises(ImageError, match=r"at its end, or empty; call its seek\(0\)"):
        local.predict(file)


@pytest.mark.parametrize(
    ("max_faces", "min_face"),
    [(0, 0), (2.5, 0), ("3", 0), (3, -1), (3, float("inf")), (3, "40"), (10**30, 0)],
)
def test_limits_are_checked_before_anything_is_sent(
    silent: Client, local: LocalPredictor, max_faces: Any, min_face: Any
) -> None:
    for model in (silent, local):
        with pytest.raises(UsageError, match=r"max_faces must|min_face must"):
            model.predict(encoded, max_faces, min_face)
