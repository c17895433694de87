"""Random changes of pose, light and camera that leave the expression as it is.

They vary the training images beyond their data set, so that a network does not learn one studio's conditions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Augmentation = Callable[[Image, np.random.Generator], Image]
_LEVELS = np.linspace(0, 1, 256)


def augment(image: Image, rng: np.random.Generator) -> Image:
    """Mirror, move, light, blur, grain and cover a face at random.

    Args:
        image: RGB uint8 [S, S, 3].
        rng: the only source of randomness, so that a face's changes can be repeated.

    Returns:
        A new image of the same shape and type.
    """
    if rng.random() < 0.5:
        image = image[:, ::-1]
    image = _move(np.ascontiguousarray(image), rng)
    image = _light(image, rng)
    if rng.random() < 0.15:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if rng.random() < 0.35:
        image = _blur(image, rng)
    if rng.random() < 0.3:
        image = _grain(image, rng)
    if rng.random() < 0.15:
        image = _cover(image, rng)
    return image


def augment_lightly(image: Image, rng: np.random.Generator) -> Image:
    """Mirror, move and light a face at random, as ``augment`` does."""
    if rng.random() < 0.5:
        image = image[:, ::-1]
    return _light(_move(np.ascontiguousarray(image), rng), rng)


def augment_crop(image: Image, rng: np.random.Generator, magnitude: float = 1.0) -> Image:
    """Mirror, turn, scale, shift, relight and cover the crop of a real face at random.

    Photographs vary in light and camera by themselves, so that pose and crop are changed more than by
    ``augment``, and color less. ``magnitude`` scales the range of every change.
    """
    turn, scale, right, down, gamma, contrast, brightness = magnitude * rng.uniform(-1, 1, 7)
    if rng.random() < 0.5:
        image = image[:, ::-1]
    shift = 0.1 * np.array([right, down])
    image = _warp(np.ascontiguousarray(image), 15 * turn, np.exp(0.16 * scale), shift)
    levels = _LEVELS ** np.exp(0.4 * gamma)
    levels = (levels - 0.5) * np.exp(0.3 * contrast) + 0.5 + 0.12 * brightness
    image = np.asarray(cv2.LUT(image, (levels.clip(0, 1) * 255).astype(np.uint8)), np.uint8)
    if rng.random() < 0.25 * magnitude:
        image = _cover(image, rng)
    return image


def chosen_augmentation(strength: str, magnitude: float) -> Augmentation | None:
    """Return the change of every training face; None for strength ``none``.

    Args:
        strength: ``none``, ``light``, ``full``, or ``faces`` for crops of real faces.
        magnitude: scale of the changes of ``faces``; 1 is usual.
    """
    changes: dict[str, Augmentation | None] = {
        "none": None,
        "light": augment_lightly,
        "full": augment,
        "faces": partial(augment_crop, magnitude=magnitude),
    }
    return changes[strength]


def _move(image: Image, rng: np.random.Generator) -> Image:
    """Rotate by up to 8 degrees, scale by up to 8% and shift by up to 5% of the side."""
    return _warp(image, rng.uniform(-8, 8), rng.uniform(0.92, 1.08), rng.uniform(-0.05, 0.05, 2))


def _warp(image: Image, degrees: float, scale: float, shift: NDArray[np.float64]) -> Image:
    """Rotate and scale around the center, then shift by (right, down) in sides."""
    size = image.shape[0]
    matrix = np.array(cv2.getRotationMatrix2D((size / 2, size / 2), degrees, scale), np.float64)
    matrix[:, 2] += shift * size
    return np.asarray(
        cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT),
        np.uint8,
    )


def _light(image: Image, rng: np.random.Generator) -> Image:
    """Change gamma, contrast and color balance, and shade the face from a random side."""
    levels = _LEVELS ** np.exp(rng.uniform(-0.45, 0.45))
    contrast, brightness = rng.uniform(0.7, 1.2), rng.uniform(-0.1, 0.1)
    levels = (levels - 0.5) * contrast + 0.5 + brightness
    table = levels[:, None] * rng.uniform(0.85, 1.15, 3)
    lit = cv2.LUT(image, (table.clip(0, 1) * 255).astype(np.uint8)[None])
    axis = np.linspace(-1, 1, image.shape[0], dtype=np.float32)
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.5)
    shade = 1 + strength * (np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None])
    return np.asarray((lit * shade[..., None].astype(np.float32)).clip(0, 255), np.uint8)


def _blur(image: Image, rng: np.random.Generator) -> Image:
    """Blur like bad focus, or like a hand that moved."""
    size = image.shape[0]
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.3) * size / 112), np.uint8)
    length = max(3, 2 * round(rng.uniform(1, 2.5) * size / 112) + 1)
    angle, center = rng.uniform(0, np.pi), length // 2
    x, y = round(np.cos(angle) * center), round(np.sin(angle) * center)
    kernel = np.zeros((length, length), np.float32)
    cv2.line(kernel, (center - x, center - y), (center + x, center + y), [1.0])
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def _grain(image: Image, rng: np.random.Generator) -> Image:
    """Add sensor noise of up to 4% of full scale."""
    noise = rng.standard_normal(image.shape, np.float32) * rng.uniform(2, 10)
    return np.asarray((image + noise).clip(0, 255), np.uint8)


def _cover(image: Image, rng: np.random.Generator) -> Image:
    """Cover up to a fifth of the face with a box of one color, or of noise."""
    size = image.shape[0]
    width, height = (max(1, round(side)) for side in rng.uniform(0.15, 0.45, 2) * size)
    x, y = rng.integers(0, size - width + 1), rng.integers(0, size - height + 1)
    covered = image.copy()
    box = covered[y : y + height, x : x + width]
    box[:] = rng.integers(0, 256, box.shape if rng.random() < 0.3 else 3)
    return covered
