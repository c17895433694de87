"""Hair on the head and on the face."""

from __future__ import annotations

import numpy as np

from lnlattennet.data.synthetic._canvas import Layer, Plane, enlarge, enlarge_image
from lnlattennet.data.synthetic._curves import Points, moved, ribbon, smooth
from lnlattennet.data.synthetic._geometry import Face
from lnlattennet.data.synthetic._person import Hair, Person


def _mirror(half: Points) -> Points:
    """Return the curve from the bottom left over the top to the bottom right, given its left half."""
    right = half[::-1] * np.array([-1.0, 1.0]) + np.array([1.0, 0.0])
    return np.concatenate([half, right[1:]])


def _outer(hair: Hair, width: float, rng: np.random.Generator) -> Points:
    v = hair.volume
    half = np.array(
        [
            (0.5 - width - 0.9 * v, hair.side),
            (0.5 - width - v - 0.01, min(0.36, hair.side - 0.03)),
            (0.5 - 0.93 * width - v, 0.08),
            (0.5 - 0.55 * width - 0.5 * v, -0.11 - v),
            (0.5, -0.16 - 1.2 * v),
        ]
    )
    curve = smooth(_mirror(half), 72)
    curls = hair.curl * np.sin(np.arange(72) * 1.35 + rng.uniform(0.0, 6.0)) + rng.normal(0.0, 0.003, 72)
    away = curve - (0.5, 0.45)
    away *= (curls / np.linalg.norm(away, axis=1))[:, None]
    return np.asarray(curve + away)


def _inner(hair: Hair, width: float, rng: np.random.Generator) -> Points:
    """Return the hairline, from the right side over the forehead to the left side."""
    peak = 0.02 if hair.style == "parted" else 0.0
    at_temple = hair.line - hair.temple
    left = [
        (0.5 - width - 0.002, hair.side),
        (0.5 - width + 0.012, min(0.42, hair.side - 0.02)),
        (0.5 - 0.90 * width, max(at_temple + 0.06, 0.16)),
        (0.5 - 0.66 * width, at_temple + 0.015),
        (0.5 - 0.33 * width, hair.line),
    ]
    right = [(1.0 - x, y) for x, y in reversed(left)]
    curve = smooth(np.array([*left, (hair.part, hair.line - peak), *right]), 72)
    ragged = 0.012 if hair.style == "fringe" else 0.005
    curve[:, 1] += rng.normal(0.0, ragged, 72)
    return curve[::-1]


def hairstyle(person: Person) -> tuple[Points, Points]:
    """Return the outer edge of the hair and the hairline [72, 2] each, which enclose the front hair."""
    rng = np.random.default_rng([person.texture_seed, 3])
    hair, width = person.hair, person.face_width
    return _outer(hair, width, rng), _inner(hair, width, rng)


def strand_texture(hair: Hair, light_x: float, side: int, rng: np.random.Generator) -> Plane:
    """Return hair color [3, side, side] with strands that run down and a side turned to the light."""
    columns = rng.normal(0.0, 0.13, (1, 64)) + rng.normal(0.0, 0.07, (8, 64))
    turned = 0.3 * light_x * np.linspace(-1.0, 1.0, 64)
    level = (1.0 + columns + turned).astype(np.float32)
    return enlarge_image(hair.color[:, None, None] * level, side)


def front_hair(person: Person, outer: Points, inner: Points, texture: Plane) -> list[Layer]:
    """Return the hair before the head, and the shadow it throws on the forehead."""
    outline = np.concatenate([outer, inner])
    shadow = person.skin * np.float32(0.35)
    # Only the hairline casts one: a ribbon along it costs a tenth of the whole outline.
    return [
        Layer(ribbon(moved(inner, 0.0, 0.010), 0.03), shadow, 0.35, soft=0.012),
        Layer(outline, texture, 0.97, soft=0.003),
    ]


def beard_layers(face: Face, person: Person, side: int) -> list[Layer]:
    """Return hair on the lower face, to be painted on bare skin: it follows the mouth and the chin."""
    if person.beard == "none":
        return []
    rng = np.random.default_rng([person.texture_seed, 4])
    rough = enlarge(rng.normal(0.85, 0.2, (96, 96)).astype(np.float32), side)
    grain = np.clip(rough, 0.3, 1.0)
    patches = [_mustache(face)]
    if person.beard in ("stubble", "full"):
        patches.insert(0, _jaw_patch(face, person))
    if person.beard == "goatee":
        patches.insert(0, _goatee(face))
    opacity = 0.3 if person.beard == "stubble" else 0.85
    color = person.brow * np.float32(0.9)
    return [Layer(patch, color, opacity, soft=0.012, grain=grain) for patch in patches]


def _goatee(face: Face) -> Points:
    low, chin = float(face.mouth.outer_lower[16, 1]), face.chin
    return np.array([(0.43, low + 0.02), (0.5, low + 0.012), (0.57, low + 0.02), (0.59, chin), (0.41, chin)])


def _jaw_patch(face: Face, person: Person) -> Points:
    w, mouth = person.face_width, face.mouth
    corner = mouth.inner_upper[0]
    half = np.array(
        [
            (0.5 - 1.02 * w, 0.52),
            (0.5 - 0.86 * w, 0.60),
            (0.5 - 0.66 * w, 0.71),
            (corner[0] - 0.045, corner[1] - 0.02),
            (corner[0] - 0.01, corner[1] + 0.01),
            (0.43, mouth.outer_lower[16, 1] + 0.014),
            (0.5, mouth.outer_lower[16, 1] + 0.008),
        ]
    )
    top = smooth(_mirror(half), 48)
    around = np.array([(1.2, 0.6), (1.0, 1.05), (0.5, face.chin + 0.1), (0.0, 1.05), (-0.2, 0.6)])
    return np.concatenate([top, around])


def _mustache(face: Face) -> Points:
    upper = face.mouth.outer_upper
    wing = float(face.wing.mean()) + 0.028
    reach = upper[[1, 4, -5, -2]]
    top = np.array([(reach[0, 0] - 0.02, reach[0, 1] - 0.012), (0.43, wing + 0.008), (0.5, wing + 0.014)])
    right = np.array([(0.57, wing + 0.008), (reach[3, 0] + 0.02, reach[3, 1] - 0.012)])
    return np.concatenate([smooth(np.concatenate([top, right]), 24), upper[::-1]])
