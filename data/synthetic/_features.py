"""Eyes, brows, nose and mouth as layers of paint on bare skin, before light falls on it."""

from __future__ import annotations

import numpy as np

from lnlattennet.data.synthetic._canvas import Layer
from lnlattennet.data.synthetic._curves import Points, between, ellipse, moved, ribbon, smooth, stroke
from lnlattennet.data.synthetic._geometry import SIDES, Brow, Eye, Face, Mouth
from lnlattennet.data.synthetic._person import Person

_SCLERA = np.array([0.85, 0.82, 0.80], dtype=np.float32)
_PUPIL = np.array([0.04, 0.03, 0.03], dtype=np.float32)
_LASH = np.array([0.09, 0.07, 0.07], dtype=np.float32)
_GLINT = np.array([1.0, 1.0, 1.0], dtype=np.float32)
_SHADOW = np.array([0.62, 0.50, 0.48], dtype=np.float32)
_CAVITY = np.array([0.34, 0.22, 0.20], dtype=np.float32)


def _eye(eye: Eye, person: Person, gaze: tuple[float, float]) -> list[Layer]:
    shadow = person.skin * _SHADOW
    opening, r = eye.outline, eye.radius
    iris = moved(eye.center, gaze[0], gaze[1] - 0.004)
    return [
        Layer(ellipse(moved(eye.center, 0.0, -0.006), 0.092, 0.048), shadow, 0.25, soft=0.02),
        Layer(opening, _SCLERA),
        Layer(ellipse(iris, r, r), person.iris * np.float32(0.45), clip=opening),
        Layer(ellipse(iris, 0.82 * r, 0.82 * r), person.iris, clip=opening, soft=0.003),
        Layer(ellipse(iris, 0.42 * r, 0.42 * r), _PUPIL, clip=opening),
        Layer(ribbon(moved(eye.upper, 0.0, 0.004), 0.016), _LASH, 0.45, soft=0.004, clip=opening),
        Layer(stroke(eye.upper, person.lashes * 1.35), _LASH, 0.9),
        Layer(stroke(eye.lower, person.lashes * 0.6), shadow * np.float32(0.6), 0.7),
        Layer(stroke(eye.crease, 0.009), shadow * np.float32(0.75), 0.6, soft=0.002),
    ]


def glints(face: Face, light_x: float, gaze: tuple[float, float]) -> list[Layer]:
    """Return the light's reflection in both eyes, to be painted after shading."""
    x, y = gaze[0] + 0.012 * light_x, gaze[1] - 0.016
    return [
        Layer(ellipse(moved(eye.center, x, y), 0.008, 0.008), _GLINT, 0.8, clip=eye.outline)
        for eye in face.eyes
    ]


def _brow(brow: Brow, side: float, person: Person, rng: np.random.Generator) -> list[Layer]:
    count = 26
    at = rng.integers(0, len(brow.spine) - 1, count)
    roots = brow.spine[at]
    roots[:, 1] += rng.uniform(-0.45, 0.45, count) * brow.thickness[at]
    # Hairs stand upright at the inner end and lie along the brow at the outer one.
    lean = at / (len(brow.spine) - 1.0)
    hairs = np.empty((count, 2, 2))
    hairs[:, 0], hairs[:, 1] = roots, roots
    hairs[:, 1, 0] += side * (0.008 + 0.012 * lean)
    hairs[:, 1, 1] += -0.014 + 0.018 * lean
    return [
        Layer(ribbon(brow.spine, brow.thickness), person.brow, 0.72, soft=0.0035),
        Layer(hairs.reshape(-1, 2), person.brow * np.float32(0.7), 0.5, hair=0.004),
    ]


_WING_X = np.array([0.074, 0.092, 0.090, 0.074])
_WING_Y = np.array([-0.030, -0.014, 0.004, 0.014])


def _nose(face: Face, person: Person) -> list[Layer]:
    dark, w = person.skin * _CAVITY, person.nose_width
    layers = []
    for side, y in zip(SIDES, face.wing.tolist(), strict=True):
        wing = np.stack([0.5 + side * w * _WING_X, y + _WING_Y], axis=1)
        layers += [
            Layer(ellipse((0.5 + side * 0.040 * w, y + 0.012), 0.020 * w, 0.0085), dark, 0.85, soft=0.004),
            Layer(stroke(smooth(wing, 10), 0.009), dark, 0.35, soft=0.003),
        ]
    return layers


def feature_layers(face: Face, person: Person, gaze: tuple[float, float]) -> list[Layer]:
    """Return eyes, brows and nose of ``face``, from the back to the front."""
    rng = np.random.default_rng(person.texture_seed)
    layers = _nose(face, person)
    for eye, brow, side in zip(face.eyes, face.brows, SIDES, strict=True):
        layers += _eye(eye, person, gaze)
        layers += _brow(brow, side, person, rng)
    return layers


_TEETH = np.array([0.86, 0.82, 0.75], dtype=np.float32)
_THROAT = np.array([0.13, 0.04, 0.04], dtype=np.float32)
_TONGUE = np.array([0.50, 0.20, 0.20], dtype=np.float32)
_LINE = np.array([0.42, 0.32, 0.32], dtype=np.float32)

_ARCH = np.sqrt(np.sin(np.linspace(0.0, np.pi, 32)))
_TOOTH_EDGES = 0.5 + np.array([-0.086, -0.066, -0.044, -0.022, 0.0, 0.022, 0.044, 0.066, 0.086])


def _teeth(mouth: Mouth, inside: Points) -> list[Layer]:
    """Return the upper teeth: a smile bares most of them, a dropped jaw only their tips."""
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
    """Return the mouth of one person, from the back to the front."""
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
