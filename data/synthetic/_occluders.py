"""Things that hide a part of the face, as layers of paint before everything else."""

from __future__ import annotations

import numpy as np

from lnlattennet.data.synthetic import _palette as palette
from lnlattennet.data.synthetic._curves import Points, ellipse, ribbon, smooth
from lnlattennet.data.synthetic._geometry import SIDES
from lnlattennet.data.synthetic._paint import Layer, Plane, enlarge_image
from lnlattennet.data.synthetic._scene import Scene

_DARK = np.array([0.06, 0.06, 0.07], dtype=np.float32)


def _turned(outline: Points, angle: float, center: Points) -> Points:
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(outline @ np.array([[c, s], [-s, c]]) + center)


def _cloth(side: int, rng: np.random.Generator) -> Plane:
    """An image [3, side, side] of wrinkled cloth."""
    folds = rng.normal(1.0, 0.14, (9, 9)).astype(np.float32)
    return enlarge_image(palette.any_color(rng)[:, None, None] * folds, side)


def _bar(area: float, side: int, rng: np.random.Generator) -> list[Layer]:
    length = rng.uniform(0.5, 1.1)
    half = np.array([length, area / length]) / 2.0
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
    center = rng.uniform(0.15, 0.85, 2)
    return [Layer(_turned(corners, rng.uniform(0.0, np.pi), center), palette.any_color(rng))]


def _blob(area: float, side: int, rng: np.random.Generator) -> list[Layer]:
    radius = np.sqrt(area / np.pi)
    around = np.linspace(0.0, 2.0 * np.pi, 28, endpoint=False)
    wobble = 1.0 + 0.25 * np.sin(around * rng.integers(2, 5) + rng.uniform(0.0, 6.0))
    outline = ellipse((0.0, 0.0), radius, radius, samples=28) * wobble[:, None] + rng.uniform(0.1, 0.9, 2)
    return [Layer(outline, _cloth(side, rng), soft=rng.uniform(0.0, 0.015))]


def _hand(area: float, side: int, rng: np.random.Generator) -> list[Layer]:
    """Four fingers that reach in from one side of the image, with the shade between them."""
    skin = palette.skin_tone(rng.uniform(0.0, 1.0), rng.uniform(-1.0, 1.0))
    wide = np.sqrt(area / 8.0) * 0.62
    where = float(rng.choice(SIDES))
    base = np.array([0.5 + where * rng.uniform(0.30, 0.42), rng.uniform(0.45, 0.95)])
    lean = rng.uniform(-0.5, 0.3)
    ahead = 3.6 * wide * np.array([-where * np.cos(lean), np.sin(lean)])
    widths = wide * np.sqrt(np.minimum(np.linspace(3.4, 0.02, 10), 1.0))
    layers = []
    for finger, reach in enumerate((0.8, 1.0, 0.95, 0.7)):
        spine = base + (0.0, (finger - 1.5) * wide * 1.02) + np.linspace(-2.5, reach, 10)[:, None] * ahead
        layers += [
            Layer(ribbon(spine, widths * 1.12), skin * np.float32(0.55), soft=0.006),
            Layer(ribbon(spine - (0.0, 0.05 * wide), widths * 0.92), skin * np.float32(0.94), soft=0.005),
        ]
    return layers


def _scarf(area: float, side: int, rng: np.random.Generator) -> list[Layer]:
    """Cloth over the chin, up to the lower lip at most: above it, nobody could tell the expression."""
    top = 1.0 - min(area, 0.19) / 0.85
    x = np.linspace(-0.3, 1.3, 9)
    edge = np.stack([x, top + 0.25 * (x - 0.5) ** 2 - 0.05 + rng.normal(0.0, 0.008, 9)], axis=1)
    outline = np.concatenate([smooth(edge, 40), [(1.3, 1.4), (-0.3, 1.4)]])
    return [
        Layer(outline - (0.0, 0.01), _DARK, 0.35, soft=0.012),
        Layer(outline, _cloth(side, rng)),
    ]


def _phone(area: float, side: int, rng: np.random.Generator) -> list[Layer]:
    half = np.sqrt(area / 1.9) / 2.0
    where = float(rng.choice(SIDES))
    center = np.array([0.5 + where * rng.uniform(0.28, 0.44), rng.uniform(0.4, 0.85)])
    angle = where * rng.uniform(0.0, 0.5)
    body = ellipse((0.0, 0.0), half, 1.9 * half, power=7.0, samples=40)
    lens = ellipse((-0.5 * half, -1.4 * half), 0.2 * half, 0.2 * half)
    return [
        Layer(_turned(body, angle, center), _DARK),
        Layer(_turned(body * 0.88, angle, center), palette.any_color(rng) * np.float32(0.5)),
        Layer(_turned(lens, angle, center), _DARK),
    ]


_OCCLUDERS = {"bar": _bar, "blob": _blob, "hand": _hand, "scarf": _scarf, "phone": _phone}


def occluder_layers(scene: Scene, side: int) -> list[Layer]:
    """The thing before the face, where the scene has one; it covers about ``scene.occluded_area``.

    ``side`` is the canvas's, which a textured thing must match.
    """
    if not scene.occluder:
        return []
    rng = np.random.default_rng([scene.prop_seed, 1])
    return _OCCLUDERS[scene.occluder](scene.occluded_area, side, rng)
