"""The eyes, brows, nose and mouth as layers of paint on bare skin, before light falls on it."""

from __future__ import annotations

import numpy as np

from lnlattennet.data.synthetic._curves import ellipse, moved, ribbon, smooth, stroke
from lnlattennet.data.synthetic._geometry import SIDES, Brow, Eye, Face
from lnlattennet.data.synthetic._identity import Person
from lnlattennet.data.synthetic._paint import Layer

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
    """The light's reflection in both eyes, to be painted after shading."""
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
    """Eyes, brows and nose of ``face``, from the back to the front."""
    rng = np.random.default_rng(person.texture_seed)
    layers = _nose(face, person)
    for eye, brow, side in zip(face.eyes, face.brows, SIDES, strict=True):
        layers += _eye(eye, person, gaze)
        layers += _brow(brow, side, person, rng)
    return layers
