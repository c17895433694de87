"""Glasses as layers of paint before the eyes."""

from __future__ import annotations

import numpy as np

from lnlattennet.data.synthetic import _palette as palette
from lnlattennet.data.synthetic._curves import Points, ellipse, ribbon, ring, smooth
from lnlattennet.data.synthetic._geometry import SIDES
from lnlattennet.data.synthetic._identity import Person
from lnlattennet.data.synthetic._paint import Layer
from lnlattennet.data.synthetic._scene import Scene

_WHITE = np.array([1.0, 1.0, 1.0], dtype=np.float32)
_DARK = np.array([0.06, 0.06, 0.07], dtype=np.float32)

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
    """Glasses before the eyes, where the scene has them: lenses, rims, bridge, temples and a reflection."""
    if not scene.glasses:
        return []
    rng = np.random.default_rng([scene.prop_seed, 3])
    frame = palette.any_color(rng) * np.float32(rng.choice([0.25, 0.9], p=[0.7, 0.3]))
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
