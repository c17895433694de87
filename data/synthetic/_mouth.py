"""The mouth as layers of paint: lips, and teeth, tongue and throat where it opens."""

from __future__ import annotations

import numpy as np

from lnlattennet.data.synthetic._curves import Points, between, ellipse, stroke
from lnlattennet.data.synthetic._geometry import Mouth
from lnlattennet.data.synthetic._identity import Person
from lnlattennet.data.synthetic._paint import Layer

_TEETH = np.array([0.86, 0.82, 0.75], dtype=np.float32)
_THROAT = np.array([0.13, 0.04, 0.04], dtype=np.float32)
_TONGUE = np.array([0.50, 0.20, 0.20], dtype=np.float32)
_LINE = np.array([0.42, 0.32, 0.32], dtype=np.float32)

_ARCH = np.sqrt(np.sin(np.linspace(0.0, np.pi, 32)))
_TOOTH_EDGES = 0.5 + np.array([-0.086, -0.066, -0.044, -0.022, 0.0, 0.022, 0.044, 0.066, 0.086])


def _teeth(mouth: Mouth, inside: Points) -> list[Layer]:
    """The upper teeth: a smile bares most of them, a dropped jaw only their tips."""
    edge = mouth.inner_upper.copy()
    edge[:, 1] += (min(0.046, 0.85 * mouth.gap) * mouth.teeth + 0.004) * _ARCH
    whole = between(mouth.inner_upper - (0.0, 0.01), edge)
    strength = 0.3 + 0.65 * mouth.teeth
    gums = stroke(mouth.inner_upper, 0.014)
    x = np.repeat(_TOOTH_EDGES, 2)
    gaps = np.stack([x, np.interp(x, mouth.inner_upper[:, 0], mouth.inner_upper[:, 1])], axis=1)
    gaps[1::2, 1] = np.interp(_TOOTH_EDGES, edge[:, 0], edge[:, 1])
    return [
        Layer(whole, _TEETH, strength, soft=0.002, clip=inside),
        Layer(gums, _THROAT, 0.35, soft=0.004, clip=inside),
        Layer(gaps, _THROAT, 0.2 * mouth.teeth, hair=0.003, clip=inside),
    ]


def _inside(mouth: Mouth) -> list[Layer]:
    inside = between(mouth.inner_upper, mouth.inner_lower)
    layers = [Layer(inside, _THROAT)]
    if mouth.gap > 0.05:
        bottom = mouth.inner_lower[16] + (0.0, 0.004)
        tongue = ellipse(bottom, 0.07, 0.3 * mouth.gap)
        layers.append(Layer(tongue, _TONGUE, 0.8, soft=0.008, clip=inside))
    return layers + _teeth(mouth, inside)


def mouth_layers(mouth: Mouth, person: Person) -> list[Layer]:
    """The mouth of one person, from the back to the front."""
    strength, line = person.lip_strength, person.lips * _LINE
    upper = between(mouth.outer_upper, mouth.inner_upper)
    lower = between(mouth.inner_lower, mouth.outer_lower)
    layers = [
        Layer(upper, person.lips * np.float32(0.88), strength, soft=0.0035),
        Layer(lower, person.lips, strength, soft=0.0035),
    ]
    # A narrower gap than this is hidden by the line between the lips.
    if mouth.gap > 0.004:
        layers += _inside(mouth)
    layers.append(Layer(stroke(mouth.inner_upper, 0.009), line, 0.85, soft=0.0015))
    for corner in (mouth.inner_upper[0], mouth.inner_upper[-1]):
        layers.append(Layer(ellipse(corner, 0.010, 0.007), line, 0.55, soft=0.004))
    return layers
