"""What is behind the person: small images [3, 64, 64] that are spread over the canvas."""

from __future__ import annotations

import numpy as np

from lnlattennet.data.synthetic import _palette as palette
from lnlattennet.data.synthetic._paint import Plane, enlarge, enlarge_image
from lnlattennet.data.synthetic._scene import Scene

_SIDE = 64


def _mixed(weight: Plane, rng: np.random.Generator) -> Plane:
    """Two colors mixed by ``weight`` [64, 64]."""
    first, second = (palette.any_color(rng)[:, None, None] for _ in range(2))
    return np.asarray(first + (second - first) * np.clip(weight, 0.0, 1.0), dtype=np.float32)


def _ramp(rng: np.random.Generator) -> Plane:
    """A plane that grows from 0 to about 1 along a random direction."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    axis = np.linspace(-0.5, 0.5, _SIDE, dtype=np.float32)
    return np.asarray(0.5 + np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None], dtype=np.float32)


def _flat(rng: np.random.Generator) -> Plane:
    return np.tile(palette.any_color(rng)[:, None, None], (1, 2, 2))


def _gradient(rng: np.random.Generator) -> Plane:
    return _mixed(_ramp(rng), rng)


def _blobs(rng: np.random.Generator) -> Plane:
    gray = rng.uniform(0.05, 0.95, (1, 5, 5))
    return (gray + rng.normal(0.0, rng.uniform(0.0, 0.2), (3, 5, 5))).astype(np.float32)


def _noise(rng: np.random.Generator) -> Plane:
    return _mixed(rng.random((_SIDE, _SIDE), dtype=np.float32), rng)


def _stripes(rng: np.random.Generator) -> Plane:
    waves = np.sin(_ramp(rng) * np.float32(rng.uniform(20.0, 60.0)))
    return _mixed(0.5 + 2.0 * waves, rng)


def _bokeh(rng: np.random.Generator) -> Plane:
    spots = (rng.random((14, 14)) < 0.15).astype(np.float32)
    return _mixed(0.15 + 0.85 * enlarge(spots, _SIDE), rng)


_KINDS = {
    "flat": _flat,
    "gradient": _gradient,
    "blobs": _blobs,
    "noise": _noise,
    "stripes": _stripes,
    "bokeh": _bokeh,
}


def draw_backdrop(scene: Scene, side: int) -> Plane:
    """The background of ``scene`` as canvas planes [3, side, side]; the composition clips it to 0..1."""
    return enlarge_image(_KINDS[scene.background](np.random.default_rng([scene.prop_seed, 2])), side)
