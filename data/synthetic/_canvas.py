"""Canvas with antialiased layers of paint, and the projection from face units to its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from lnlattennet.data.synthetic._colors import Color
from lnlattennet.data.synthetic._curves import Points
from lnlattennet.data.synthetic._scene import Pose


def depth(points: Points) -> NDArray[np.float64]:
    """Return how far points [n, 2] of the face stand in front of its outline, in face units [n]."""
    x, y = points[:, 0] - 0.5, points[:, 1]
    x2 = x * x
    bowl = np.sqrt(np.maximum(0.0, 1.0 - x2 / 0.46**2 - ((y - 0.5) / 0.6) ** 2))
    nose = np.exp(-x2 / 0.07**2 - ((y - 0.58) / 0.08) ** 2)
    return np.asarray(0.3 * bowl + 0.07 * nose)


class Projection:
    """Projection of face units to the pixels of a square canvas.

    Yaw and pitch shift each point by its depth (a parallax, good to about 20 degrees); roll, zoom and
    shift are one affine map, ``matrix`` [2, 3], whose pixel centers are at halves.
    """

    def __init__(self, pose: Pose, side: int) -> None:
        self._tilt = np.array([np.sin(pose.yaw), np.sin(pose.pitch)])
        c, s = np.cos(pose.roll) * pose.zoom, np.sin(pose.roll) * pose.zoom
        linear = np.array([[c, -s], [s, c]])
        center = np.array([0.5, 0.5])
        offset = center + np.array(pose.shift) - linear @ center
        self.side = side
        self.matrix = np.concatenate([linear, offset[:, None]], axis=1) * side
        self.scale = side * pose.zoom  # pixels per face unit

    def turn(self, points: Points) -> Points:
        """Return points [n, 2] moved by yaw and pitch, still in face units."""
        return np.asarray(points + depth(points)[:, None] * self._tilt)

    def pixels(self, points: Points) -> Points:
        """Return points [n, 2] in canvas pixels, where the center of the first pixel is 0."""
        return np.asarray(self.turn(points) @ self.matrix[:, :2].T + (self.matrix[:, 2] - 0.5))


Plane = NDArray[np.float32]

_SUBPIXEL_BITS = 4
_UNIT = np.float32(1.0 / 255.0)


def enlarge(small: Plane, side: int) -> Plane:
    """Return a small plane [h, w] spread smoothly over [side, side]."""
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def enlarge_image(small: Plane, side: int) -> Plane:
    """Return a small image [3, h, w] spread smoothly over [3, side, side]."""
    large = np.empty((3, side, side), np.float32)
    for plane, target in zip(small, large, strict=True):
        cv2.resize(plane, (side, side), dst=target, interpolation=cv2.INTER_CUBIC)
    return large


@dataclass(frozen=True, slots=True)
class Layer:
    """One coat of paint.

    Attributes:
        outline: Closed polygon [n, 2] (even-odd), or pairs of points where ``hair`` is set.
        paint: A color [3], or an image [3, side, side] of the canvas's size.
        opacity: 0..1.
        soft: Blur of its edge in face units.
        clip: Closed polygon [n, 2] that the paint stays within.
        hair: Thickness of separate straight hairs from each even point to the next, in face units.
        grain: Factors [side, side] on the opacity.
    """

    outline: Points
    paint: Color | Plane
    opacity: float = 1.0
    soft: float = 0.0
    clip: Points | None = None
    hair: float = 0.0
    grain: Plane | None = None


class _Box(NamedTuple):
    left: int
    top: int
    right: int
    bottom: int


class Canvas:
    """Float pixels [3, side, side]: planes, because numpy broadcasts a mask over planes fastest."""

    def __init__(self, pixels: Plane, projection: Projection) -> None:
        self.pixels = pixels
        self.projection = projection

    def paint(self, layers: Sequence[Layer]) -> None:
        """Paint layers in their order; points are projected together, since each numpy call costs."""
        outlines = [layer.outline for layer in layers]
        clips = {id(layer.clip): layer.clip for layer in layers if layer.clip is not None}
        points, boxes = self._project([*outlines, *clips.values()])
        whole = _Box(0, 0, self.projection.side, self.projection.side)
        covers = {key: _filled(points[len(layers) + i], whole) for i, key in enumerate(clips)}
        for layer, polygon, extent in zip(layers, points, boxes, strict=False):
            self._paint_one(layer, polygon, extent, covers.get(id(layer.clip)))

    def _project(self, outlines: list[Points]) -> tuple[list[NDArray[np.int32]], list[list[int]]]:
        """Return polygons in sub-pixels, and the pixels they reach: left, top, right, bottom."""
        ends = np.cumsum([len(outline) for outline in outlines])
        starts = np.concatenate([[0], ends[:-1]])
        pixels = self.projection.pixels(np.concatenate(outlines))
        low = np.minimum.reduceat(pixels, starts).astype(np.int64)
        high = np.maximum.reduceat(pixels, starts).astype(np.int64) + 1
        scaled = np.round(pixels * 2**_SUBPIXEL_BITS).astype(np.int32)
        return np.split(scaled, ends[:-1]), np.concatenate([low, high], axis=1).tolist()

    def _paint_one(
        self, layer: Layer, polygon: NDArray[np.int32], extent: list[int], clip: NDArray[np.uint8] | None
    ) -> None:
        # A stack blur of radius r has a deviation of r / 2.45, and costs the same for every r.
        radius = round(2.45 * layer.soft * self.projection.scale)
        margin = radius + 2 + int(layer.hair * self.projection.scale)
        side = self.projection.side
        box = _Box(
            *(max(0, low - margin) for low in extent[:2]), *(min(side, high + margin) for high in extent[2:])
        )
        if box.left >= box.right or box.top >= box.bottom:
            return
        if layer.hair > 0.0:
            cover = _stroked(polygon, box, max(1, round(layer.hair * self.projection.scale)))
        else:
            cover = _filled(polygon, box)
        if radius > 0:
            cv2.stackBlur(cover, (2 * radius + 1, 2 * radius + 1), dst=cover)
        rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
        weight = cover * (_UNIT * np.float32(layer.opacity))
        if clip is not None:
            weight *= clip[rows, columns] * _UNIT
        if layer.grain is not None:
            weight *= layer.grain[rows, columns]
        self._blend(rows, columns, layer.paint, weight)

    def _blend(self, rows: slice, columns: slice, paint: Color | Plane, weight: Plane) -> None:
        under = self.pixels[:, rows, columns]
        over = paint[:, None, None] if paint.ndim == 1 else paint[:, rows, columns]
        mix = over - under
        mix *= weight
        under += mix


def _filled(polygon: NDArray[np.int32], box: _Box) -> NDArray[np.uint8]:
    """Return coverage 0..255 of a polygon in sub-pixels within a box of the canvas."""
    cover = np.zeros((box.bottom - box.top, box.right - box.left), np.uint8)
    offset = (-box.left << _SUBPIXEL_BITS, -box.top << _SUBPIXEL_BITS)
    cv2.fillPoly(cover, [polygon + np.array(offset, np.int32)], (255,), cv2.LINE_AA, _SUBPIXEL_BITS)
    return cover


def _stroked(ends: NDArray[np.int32], box: _Box, thickness: int) -> NDArray[np.uint8]:
    cover = np.zeros((box.bottom - box.top, box.right - box.left), np.uint8)
    offset = np.array((-box.left << _SUBPIXEL_BITS, -box.top << _SUBPIXEL_BITS), np.int32)
    segments = list((ends + offset).reshape(-1, 2, 2))
    cv2.polylines(cover, segments, False, (255,), thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
    return cover
