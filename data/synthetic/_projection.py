"""From face units to canvas pixels, for one head pose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lnlattennet.data.synthetic._curves import Points
from lnlattennet.data.synthetic._scene import Pose


def depth(points: Points) -> NDArray[np.float64]:
    """How far a point of the face stands in front of its outline, in face units: [n] for points [n, 2]."""
    x, y = points[:, 0] - 0.5, points[:, 1]
    x2 = x * x
    bowl = np.sqrt(np.maximum(0.0, 1.0 - x2 / 0.46**2 - ((y - 0.5) / 0.6) ** 2))
    nose = np.exp(-x2 / 0.07**2 - ((y - 0.58) / 0.08) ** 2)
    return np.asarray(0.3 * bowl + 0.07 * nose)


class Projection:
    """From face units to the pixels of a square canvas.

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
        """Points [n, 2] moved by yaw and pitch, still in face units."""
        return np.asarray(points + depth(points)[:, None] * self._tilt)

    def pixels(self, points: Points) -> Points:
        """Points [n, 2] in canvas pixels, where the center of the first pixel is 0."""
        return np.asarray(self.turn(points) @ self.matrix[:, :2].T + (self.matrix[:, 2] - 0.5))
