"""Effects of a camera and of JPEG on a clean image [size, size, 3] of 0..1."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lnlattennet.data.synthetic._canvas import Plane
from lnlattennet.data.synthetic._scene import Camera

# Rec. 601, as in gray JPEG and in FER data sets.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def capture(clean: Plane, camera: Camera, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return uint8 [size, size, 3] with the resolution, blur, tone, noise and JPEG of ``camera``."""
    image = _blurred(_coarse(clean, camera.resolution), camera)
    if camera.gray:
        image = np.repeat((image @ _LUMA)[..., None], 3, axis=2)
    image = np.asarray(cv2.pow(np.clip(image, 0.0, 1.0), camera.gamma), dtype=np.float32)
    image = 0.5 + (image - 0.5) * np.float32(camera.contrast)
    if camera.noise > 0.0:
        planes = 1 if camera.gray else 3
        grain = rng.standard_normal((*clean.shape[:2], planes), dtype=np.float32)
        image = image + grain * np.float32(camera.noise)
    stored = np.clip(np.round(image * 255.0), 0, 255).astype(np.uint8)
    return _packed(stored, camera.jpeg_quality)


def _coarse(image: Plane, resolution: float) -> Plane:
    """Reduce to a share of the resolution and back, as images of distant faces are enlarged."""
    if resolution >= 1.0:
        return image
    size = image.shape[0]
    small = max(8, round(size * resolution))
    reduced = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(reduced, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _blurred(image: Plane, camera: Camera) -> Plane:
    scale = image.shape[0] / 112.0
    if camera.blur * scale > 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), camera.blur * scale), dtype=np.float32)
    if camera.motion * scale > 1.0:
        image = np.asarray(
            cv2.filter2D(image, -1, _streak(camera.motion * scale, camera.motion_angle)), dtype=np.float32
        )
    return image


def _streak(length: float, angle: float) -> Plane:
    """Return the kernel of a straight movement by ``length`` pixels."""
    reach = int(np.ceil(length / 2.0))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    half = np.array([np.cos(angle), np.sin(angle)]) * length / 2.0
    ends = np.round((np.stack([-half, half]) + reach) * 16).astype(np.int32)
    cv2.polylines(kernel, [ends], False, (1.0,), 1, cv2.LINE_8, 4)
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def _packed(stored: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    if quality == 0:
        return stored
    _, data = cv2.imencode(".jpg", stored[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]).astype(np.uint8)
