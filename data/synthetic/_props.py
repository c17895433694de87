"""Backgrounds, glasses, and objects that hide a part of the face."""

from __future__ import annotations

import numpy as np

from lnlattennet.data.synthetic._canvas import Layer, Plane, enlarge, enlarge_image
from lnlattennet.data.synthetic._colors import any_color, skin_tone
from lnlattennet.data.synthetic._curves import Points, ellipse, ribbon, ring, smooth
from lnlattennet.data.synthetic._geometry import SIDES
from lnlattennet.data.synthetic._person import Person
from lnlattennet.data.synthetic._scene import Scene

_SIDE = 64
"""Side of a small background before it is enlarged to the canvas."""

_WHITE = np.array([1.0, 1.0, 1.0], dtype=np.float32)
_DARK = np.array([0.06, 0.06, 0.07], dtype=np.float32)


def _mixed(weight: Plane, rng: np.random.Generator) -> Plane:
    """Return two colors mixed by ``weight`` [64, 64]."""
    first, second = (any_color(rng)[:, None, None] for _ in range(2))
    return np.asarray(first + (second - first) * np.clip(weight, 0.0, 1.0), dtype=np.float32)


def _ramp(rng: np.random.Generator) -> Plane:
    """Return a plane that grows from 0 to about 1 along a random direction."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    axis = np.linspace(-0.5, 0.5, _SIDE, dtype=np.float32)
    return np.asarray(0.5 + np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None], dtype=np.float32)


def _flat(rng: np.random.Generator) -> Plane:
    return np.tile(any_color(rng)[:, None, None], (1, 2, 2))


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


_BACKGROUNDS = {
    "flat": _flat,
    "gradient": _gradient,
    "blobs": _blobs,
    "noise": _noise,
    "stripes": _stripes,
    "bokeh": _bokeh,
}


def draw_background(scene: Scene, side: int) -> Plane:
    """Return the background of ``scene`` as canvas planes [3, side, side], not clipped to 0..1."""
    return enlarge_image(_BACKGROUNDS[scene.background](np.random.default_rng([scene.prop_seed, 2])), side)


_FRAMES: dict[str, tuple[float, float, float]] = {
    "round": (0.112, 0.105, 2.0),
    "rectangle": (0.122, 0.078, 4.5),
    "aviator": (0.124, 0.110, 2.6),
    "browline": (0.120, 0.086, 3.0),
}
"""Half width, half height and superellipse power of one lens."""


_REFLECTION = np.array([(-0.06, -0.05), (-0.03, -0.05), (-0.06, 0.04), (-0.08, 0.04)])


def _lens(shape: str, center: Points, side: float, grow: float) -> Points:
    width, height, power = _FRAMES[shape]
    lens = ellipse(center, width + grow, height + grow, power=power, samples=36)
    if shape == "aviator":
        # A teardrop: the lower outer part hangs away from the nose.
        low = np.clip((lens[:, 1] - center[1]) / height, -1.0, 1.0)
        lens[:, 0] += side * 0.018 * low
    return lens


def glasses_layers(person: Person, scene: Scene) -> list[Layer]:
    """Return the glasses, if the scene has them: lenses, rims, bridge, temples and a reflection."""
    if not scene.glasses:
        return []
    rng = np.random.default_rng([scene.prop_seed, 3])
    frame = any_color(rng) * np.float32(rng.choice([0.25, 0.9], p=[0.7, 0.3]))
    rim = rng.uniform(0.008, 0.018)
    width = _FRAMES[scene.glasses][0]
    gap = person.eye_spacing - width
    bridge = smooth(np.array([(0.5 - gap, 0.402), (0.5, 0.388), (0.5 + gap, 0.402)]), 8)
    layers = [Layer(ribbon(bridge, rim), frame)]
    for side in SIDES:
        center = np.array([0.5 + side * (person.eye_spacing + 0.004), 0.418])
        inner, outer = (_lens(scene.glasses, center, side, grow) for grow in (0.0, rim))
        hinge = np.array(
            [(center[0] + side * width, 0.395), (0.5 + side * (person.face_width + 0.01), 0.387)]
        )
        layers += [
            Layer(inner, _DARK, scene.tint),
            Layer(ring(outer, inner), frame, 0.95),
            Layer(_REFLECTION + center, _WHITE, 0.18 * scene.tint + 0.04, soft=0.008),
            Layer(ribbon(hinge, rim), frame),
        ]
        if scene.glasses == "browline":
            top = outer[outer[:, 1] < center[1] - 0.03]
            layers.append(Layer(ribbon(top[np.argsort(top[:, 0])], 0.026), frame))
    return layers


def _turned(outline: Points, angle: float, center: Points) -> Points:
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(outline @ np.array([[c, s], [-s, c]]) + center)


def _cloth(side: int, rng: np.random.Generator) -> Plane:
    """Return an image [3, side, side] of wrinkled cloth."""
    folds = rng.normal(1.0, 0.14, (9, 9)).astype(np.float32)
    return enlarge_image(any_color(rng)[:, None, None] * folds, side)


def _bar(area: float, side: int, rng: np.random.Generator) -> list[Layer]:
    length = rng.uniform(0.5, 1.1)
    half = np.array([length, area / length]) / 2.0
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
    center = rng.uniform(0.15, 0.85, 2)
    return [Layer(_turned(corners, rng.uniform(0.0, np.pi), center), any_color(rng))]


def _blob(area: float, side: int, rng: np.random.Generator) -> list[Layer]:
    radius = np.sqrt(area / np.pi)
    around = np.linspace(0.0, 2.0 * np.pi, 28, endpoint=False)
    wobble = 1.0 + 0.25 * np.sin(around * rng.integers(2, 5) + rng.uniform(0.0, 6.0))
    outline = ellipse((0.0, 0.0), radius, radius, samples=28) * wobble[:, None] + rng.uniform(0.1, 0.9, 2)
    return [Layer(outline, _cloth(side, rng), soft=rng.uniform(0.0, 0.015))]


def _hand(area: float, side: int, rng: np.random.Generator) -> list[Layer]:
    """Return four fingers that reach in from one side of the image, with the shade between them."""
    skin = skin_tone(rng.uniform(0.0, 1.0), rng.uniform(-1.0, 1.0))
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
    """Return cloth over the chin, up to the lower lip at most, so that the expression stays recognizable."""
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
        Layer(_turned(body * 0.88, angle, center), any_color(rng) * np.float32(0.5)),
        Layer(_turned(lens, angle, center), _DARK),
    ]


_OCCLUDERS = {"bar": _bar, "blob": _blob, "hand": _hand, "scarf": _scarf, "phone": _phone}


def occluder_layers(scene: Scene, side: int) -> list[Layer]:
    """Return the object before the face, if any; it covers about ``scene.occluded_area``.

    ``side`` is the side of the canvas in pixels, which textures must match.
    """
    if not scene.occluder:
        return []
    rng = np.random.default_rng([scene.prop_seed, 1])
    return _OCCLUDERS[scene.occluder](scene.occluded_area, side, rng)
