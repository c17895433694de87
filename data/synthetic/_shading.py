"""Light on a height field: Lambert's law, hollows that see less of the sky, and a soft shine."""

from __future__ import annotations

import cv2
import numpy as np

from lnlattennet.data.synthetic._canvas import Plane, Projection
from lnlattennet.data.synthetic._relief import Bumps
from lnlattennet.data.synthetic._scene import Light

# The height field covers -0.12..1.12 in face units: crops shift, and the border repeats beyond it.
_CELLS = 160
_LOW, _HIGH = -0.12, 1.12
_STEP = (_HIGH - _LOW) / _CELLS
_AXIS = (_LOW + _STEP * (np.arange(_CELLS) + 0.5)).astype(np.float32)

# Light scatters under skin and comes out red, so shadows on skin lose blue first.
_SCATTER = (0.88, 1.03, 1.10)


def _skull() -> Plane:
    """Return the height of the bare head: an ellipsoid, flattened outside the face's outline."""
    x, y = np.meshgrid((_AXIS - 0.5) / 0.50, (_AXIS - 0.47) / 0.68)
    return np.asarray(0.40 * np.sqrt(np.maximum(0.06, 1.0 - x**2 - y**2)), dtype=np.float32)


_SKULL = _skull()


def height_field(bumps: Bumps, projection: Projection) -> Plane:
    """Return the height [cells, cells] of the face, in face units, for bumps [n, 5] in the head's pose."""
    centers = projection.turn(bumps[:, :2]).astype(np.float32)
    sizes = bumps[:, 2:4].astype(np.float32)
    across, down = (
        np.exp(-0.5 * ((_AXIS[None, :] - centers[:, axis, None]) / sizes[:, axis, None]) ** 2)
        for axis in (0, 1)
    )
    weighted = across * bumps[:, 4, None].astype(np.float32)
    return np.asarray(down.T @ weighted + _SKULL, dtype=np.float32)


def _lit(height: Plane, light: Light) -> tuple[Plane, Plane]:
    """Return diffuse light 0..1 and shine 0..1 on the shading grid."""
    scale = 1.0 / (8.0 * _STEP)
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=scale)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=scale)
    norm = 1.0 / np.sqrt(slope_x**2 + slope_y**2 + 1.0)
    x, y, z = (np.float32(v) for v in light.direction)
    diffuse = np.maximum((z - x * slope_x - y * slope_y) * norm, 0.0)
    half = light.direction + np.array([0.0, 0.0, 1.0])
    hx, hy, hz = (np.float32(v) for v in half / np.linalg.norm(half))
    # A floor of 0.1 keeps the power out of the denormal numbers, which are slow to compute with.
    gloss = np.maximum((hz - hx * slope_x - hy * slope_y) * norm, 0.1)
    for _ in range(4):  # to the power of 16
        gloss *= gloss
    return np.asarray(diffuse, dtype=np.float32), np.asarray(gloss, dtype=np.float32)


def shade(bumps: Bumps, light: Light, projection: Projection) -> tuple[list[Plane], Plane]:
    """Return factors [side, side] on the skin's red, green and blue, and the shine [side, side] to add."""
    height = height_field(bumps, projection)
    diffuse, gloss = _lit(height, light)
    hollow = height - cv2.GaussianBlur(height, (0, 0), 0.022 / _STEP)
    sky = np.clip(1.0 + 26.0 * np.asarray(hollow, dtype=np.float32), 0.35, 1.15)
    strength = np.float32(light.strength)
    level = (1.0 - strength) * sky + strength * diffuse * (0.5 + 0.5 * sky)
    # The camera exposes for the middle of the face, whatever side the light comes from.
    level *= np.float32(0.88) / level[40:120, 50:110].mean()
    level = np.clip(level, 0.12, 1.5)
    # The first-order term of level ** power, which is all that powers near 1 need.
    bend = level * np.log(level)
    planes = [
        (level + (power - 1.0) * bend) * tint for power, tint in zip(_SCATTER, light.color, strict=True)
    ]
    spread = _to_canvas(np.stack([*planes, gloss * strength], axis=2), projection)
    return spread[:3], spread[3]


def _to_canvas(grid: Plane, projection: Projection) -> list[Plane]:
    """Warp an image [cells, cells, c] on the shading grid to c canvas planes [side, side].

    Light on skin has no sharp edges, so half the canvas's resolution is enough and costs a third.
    """
    half = projection.side // 2
    matrix = projection.matrix / 2.0
    first = np.array([_LOW, _LOW]) + 0.5 * _STEP
    offset = matrix[:, :2] @ first + matrix[:, 2] - 0.5
    affine = np.concatenate([matrix[:, :2] * _STEP, offset[:, None]], axis=1)
    warped = cv2.warpAffine(
        grid, affine, (half, half), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    side = (projection.side, projection.side)
    planes = (cv2.resize(plane, side, interpolation=cv2.INTER_LINEAR) for plane in cv2.split(warped))
    return [np.asarray(plane, dtype=np.float32) for plane in planes]
