"""Smooth curves through control points, as polylines [n, 2] in face units."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""Points [n, 2], x right and y down, in face units: the nominal image is the unit square."""


@lru_cache(maxsize=64)
def _catmull_rom(controls: int, samples: int) -> Points:
    """Return the basis [samples, controls] of the uniform Catmull-Rom spline with repeated ends."""
    at = np.linspace(0.0, controls - 1.0, samples)
    start = np.minimum(at.astype(int), controls - 2)
    t = at - start
    weights = (
        0.5 * (-t + 2 * t**2 - t**3),
        0.5 * (2 - 5 * t**2 + 3 * t**3),
        0.5 * (t + 4 * t**2 - 3 * t**3),
        0.5 * (-(t**2) + t**3),
    )
    basis = np.zeros((samples, controls))
    for offset, weight in zip(range(-1, 3), weights, strict=True):
        np.add.at(basis, (np.arange(samples), np.clip(start + offset, 0, controls - 1)), weight)
    return basis


def smooth(controls: Points, samples: int = 24) -> Points:
    """Return the Catmull-Rom curve through control points [k, d], sampled to [samples, d]."""
    return _catmull_rom(len(controls), samples) @ controls


@lru_cache(maxsize=32)
def _unit_ellipse(power: float, samples: int) -> Points:
    angle = np.linspace(0.0, 2.0 * np.pi, samples, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.asarray(np.sign(circle) * np.abs(circle) ** (2.0 / power))


def ellipse(
    center: Sequence[float] | Points, width: float, height: float, *, power: float = 2.0, samples: int = 24
) -> Points:
    """Return a closed superellipse with these half axes; a power above 2 squares its corners."""
    return np.asarray(_unit_ellipse(power, samples) * (width, height) + center)


def ring(outer: Points, inner: Points) -> Points:
    """Return the closed band between two closed outlines."""
    return np.concatenate([outer, outer[:1], inner[:1], inner[::-1]])


def ribbon(spine: Points, widths: NDArray[np.float64] | float) -> Points:
    """Return the closed outline of a stroke along ``spine`` [n, 2] that is ``widths`` [n] wide."""
    along = np.empty_like(spine)
    along[1:-1] = spine[2:] - spine[:-2]
    along[0], along[-1] = spine[1] - spine[0], spine[-1] - spine[-2]
    along *= (widths / (2.0 * np.sqrt((along * along).sum(axis=1)) + 1e-9))[:, None]
    half = along[:, ::-1] * (-1.0, 1.0)
    return np.concatenate([spine + half, (spine - half)[::-1]])


@lru_cache(maxsize=16)
def _taper(samples: int) -> NDArray[np.float64]:
    return np.asarray(np.sin(np.linspace(0.15, np.pi - 0.15, samples)))


def stroke(spine: Points, width: float) -> Points:
    """Return the closed outline of a stroke that is ``width`` in its middle and thin at both ends."""
    return ribbon(spine, width * _taper(len(spine)))


def moved(points: Points, x: float, y: float) -> Points:
    """Return points [n, 2] shifted by (x, y)."""
    return np.asarray(points + np.array([x, y]))


def between(upper: Points, lower: Points) -> Points:
    """Return the closed outline between two curves that run the same way."""
    return np.concatenate([upper, lower[::-1]])
