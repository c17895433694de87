"""Person in an image: every drawn trait that no expression changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lnlattennet.data.synthetic._colors import Color, hair_color, iris_color, lip_color, skin_tone
from lnlattennet.data.synthetic._nuisance import Nuisance


@dataclass(frozen=True)
class Hair:
    """Hair on the head; lengths in face units."""

    style: str
    color: Color
    line: float  # y of the hairline at the middle of the forehead
    temple: float  # how much higher the hairline is at the temples than in the middle
    side: float  # y where the hair at the sides ends
    volume: float  # thickness of the hair outside the head
    part: float  # x of the parting
    curl: float  # size of the curls at its outer edge


@dataclass(frozen=True)
class Person:
    """Traits; lengths in face units, ``*_scale`` are factors on the average face."""

    skin: Color
    lips: Color
    iris: Color
    brow: Color
    hair: Hair
    beard: str
    age: float
    face_width: float
    jaw: float
    chin: float
    brow_height: float
    brow_thickness: float
    brow_arch: float
    eye_spacing: float
    eye_scale: float
    eye_open: float
    eye_tilt: float
    nose_width: float
    nose_length: float
    mouth_width: float
    mouth_height: float
    upper_lip: float
    lower_lip: float
    lip_strength: float
    lashes: float
    mouth_bend: float
    relief_scale: float
    forehead_lines: tuple[tuple[float, float, float], ...]  # height, depth as a share, bow
    frown_lines: tuple[float, float]  # depth as a share on each side
    texture_seed: int


# style: hairline, temple, side end, volume, curl
_STYLES: dict[str, tuple[tuple[float, float], ...]] = {
    "bald": ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)),
    "short": ((0.05, 0.12), (0.0, 0.02), (0.3, 0.44), (0.01, 0.03), (0.0, 0.004)),
    "swept": ((0.03, 0.1), (-0.06, 0.0), (0.34, 0.5), (0.03, 0.07), (0.0, 0.006)),
    "fringe": ((0.2, 0.29), (-0.04, 0.02), (0.5, 0.8), (0.03, 0.06), (0.0, 0.005)),
    "long": ((0.04, 0.12), (-0.08, -0.02), (1.1, 1.3), (0.05, 0.12), (0.0, 0.01)),
    "receding": ((0.0, 0.04), (0.05, 0.09), (0.4, 0.5), (0.01, 0.03), (0.0, 0.004)),
    "curly": ((0.06, 0.13), (-0.06, -0.02), (0.5, 1.2), (0.1, 0.16), (0.02, 0.035)),
    "parted": ((0.03, 0.09), (-0.14, -0.09), (0.6, 1.2), (0.04, 0.09), (0.0, 0.006)),
}


def _hair(rng: np.random.Generator, nuisance: Nuisance, melanin: float) -> Hair:
    style = str(rng.choice(nuisance.hair_styles))
    name = str(rng.choice(nuisance.hair_colors))
    # Dark skin with light hair is rare; half of such draws become black where black is allowed.
    if melanin > 0.55 and "black" in nuisance.hair_colors and rng.random() < 0.6:
        name = "black"
    line, temple, side, volume, curl = (rng.uniform(low, high) for low, high in _STYLES[style])
    color = hair_color(name, rng.uniform(0.75, 1.3))
    return Hair(style, color, line, temple, side, volume, rng.uniform(0.38, 0.62), curl)


def _forehead_lines(rng: np.random.Generator) -> tuple[tuple[float, float, float], ...]:
    """Draw two to four lines of uneven depth."""
    heights = np.linspace(0.15, 0.26, int(rng.integers(2, 5))) + rng.normal(0.0, 0.006)
    return tuple((float(y), rng.uniform(0.5, 1.15), rng.normal(0.004, 0.006)) for y in heights)


def draw_person(rng: np.random.Generator, nuisance: Nuisance) -> Person:
    """Draw one person from the ranges of ``nuisance``."""
    melanin = rng.uniform(*nuisance.melanin)
    skin = skin_tone(melanin, rng.uniform(-1.0, 1.0))
    hair = _hair(rng, nuisance, melanin)
    brow_base = hair.color if hair.style != "bald" else hair_color("brown", 0.8)
    # Brows are darker than fair hair, and dyed hair does not dye them.
    brow = np.minimum(brow_base * np.float32(0.75), skin * np.float32(0.55))
    return Person(
        skin=skin,
        lips=lip_color(skin, float(rng.choice([0.0, 0.15, 0.3, 0.8], p=[0.4, 0.3, 0.2, 0.1]))),
        iris=iris_color(rng),
        brow=brow,
        hair=hair,
        beard=str(rng.choice(nuisance.beards)),
        age=rng.uniform(*nuisance.age) ** 1.5,
        face_width=rng.uniform(0.375, 0.43),
        jaw=rng.uniform(0.72, 0.86),
        chin=rng.uniform(0.925, 0.975),
        brow_height=rng.normal(0.0, 0.008),
        brow_thickness=rng.uniform(0.016, 0.032),
        brow_arch=rng.uniform(0.004, 0.024),
        eye_spacing=rng.uniform(0.172, 0.194),
        eye_scale=rng.uniform(0.88, 1.12),
        eye_open=rng.uniform(0.85, 1.12),
        eye_tilt=rng.normal(0.0, 0.006),
        nose_width=rng.uniform(0.82, 1.25),
        nose_length=rng.uniform(0.585, 0.615),
        mouth_width=rng.uniform(0.125, 0.158),
        mouth_height=rng.uniform(0.74, 0.768),
        upper_lip=rng.uniform(0.018, 0.036),
        lower_lip=rng.uniform(0.026, 0.044),
        lip_strength=rng.uniform(0.55, 0.9),
        lashes=rng.uniform(0.006, 0.013),
        mouth_bend=rng.normal(0.0, 0.005),
        relief_scale=rng.uniform(0.85, 1.15),
        forehead_lines=_forehead_lines(rng),
        frown_lines=(rng.uniform(0.4, 1.1), rng.uniform(0.4, 1.1)),
        texture_seed=int(rng.integers(2**31)),
    )
