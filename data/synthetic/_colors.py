"""Colors of persons and objects, RGB in 0..1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Color = NDArray[np.float32]

# From very light to very dark; hues measured by eye between the Monk skin tone swatches.
_SKIN = (
    np.array(
        [
            (247, 222, 205),
            (235, 197, 172),
            (219, 172, 140),
            (192, 138, 104),
            (152, 101, 72),
            (112, 75, 55),
            (80, 56, 45),
        ],
        dtype=np.float32,
    )
    / 255.0
)

HAIR: dict[str, tuple[int, int, int]] = {
    "black": (28, 24, 24),
    "brown": (62, 42, 30),
    "chestnut": (98, 62, 38),
    "blond": (190, 152, 100),
    "gray": (140, 138, 136),
    "auburn": (132, 58, 32),
    "platinum": (226, 216, 196),
    "dyed": (70, 90, 150),
}

_IRIS = ((58, 36, 22), (84, 54, 30), (46, 30, 22), (96, 110, 70), (92, 128, 160), (120, 130, 136))


def skin_tone(melanin: float, undertone: float) -> Color:
    """Return skin for melanin 0 (very light) to 1 (very dark) and undertone -1 (yellow) to 1 (red)."""
    stops = np.linspace(0.0, 1.0, len(_SKIN))
    color = np.array([np.interp(melanin, stops, _SKIN[:, c]) for c in range(3)], dtype=np.float32)
    return color * np.array([1.0 + 0.02 * undertone, 1.0 - 0.035 * undertone, 1.0], dtype=np.float32)


def hair_color(name: str, brightness: float) -> Color:
    """Return a named hair color, made lighter or darker by the factor ``brightness``."""
    return (np.array(HAIR[name], dtype=np.float32) / 255.0 * brightness).clip(0.0, 1.0)


def iris_color(rng: np.random.Generator) -> Color:
    """Draw an iris: brown more often than green, blue or gray."""
    chosen = np.array(_IRIS[int(rng.integers(len(_IRIS)))], dtype=np.float32)
    return chosen / 255.0 * np.float32(rng.uniform(0.75, 1.2))


def any_color(rng: np.random.Generator) -> Color:
    """Draw a color for cloth, walls and objects: mostly muted."""
    gray = rng.uniform(0.08, 0.92)
    hue = rng.uniform(-1.0, 1.0, 3) * rng.uniform(0.0, 0.35)
    return np.asarray((gray + hue).clip(0.02, 0.98), dtype=np.float32)


def lip_color(skin: Color, redness: float) -> Color:
    """Return lips of a person with this skin: 0 nearly skin, 1 lipstick."""
    natural = skin * np.array([0.86, 0.62, 0.62], dtype=np.float32)
    stick = np.array([0.66, 0.12, 0.18], dtype=np.float32)
    return natural + np.float32(redness * 0.75) * (stick - natural)
