"""Action units of each expression, and the strengths with which one person shows them.

Units are those of the Facial Action Coding System (Ekman & Friesen 1978); the combinations are the
EMFACS prototypes of the basic emotions with the variants that photographs show most (a closed and an
open mouth for anger, disgust, happiness and fear).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

EXPRESSIONS: tuple[str, ...] = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")

UNITS: dict[str, str] = {
    "AU1": "inner brow raise",
    "AU2": "outer brow raise",
    "AU4": "brow lower",
    "AU5": "upper lid raise",
    "AU6": "cheek raise",
    "AU7": "lid tighten",
    "AU9": "nose wrinkle",
    "AU10": "upper lip raise",
    "AU12": "lip corner pull",
    "AU15": "lip corner depress",
    "AU17": "chin raise",
    "AU20": "lip stretch",
    "AU23": "lip tighten",
    "AU25": "lips part",
    "AU26": "jaw drop",
}

PROTOTYPES: dict[str, tuple[dict[str, float], ...]] = {
    "anger": (
        {"AU4": 1.0, "AU5": 0.6, "AU7": 0.8, "AU23": 1.0, "AU17": 0.3},
        {"AU4": 1.0, "AU5": 0.7, "AU7": 0.7, "AU10": 0.6, "AU20": 0.3, "AU25": 0.9, "AU26": 0.3},
    ),
    "disgust": (
        {"AU9": 1.0, "AU10": 0.9, "AU17": 0.7, "AU15": 0.4, "AU7": 0.4},
        {"AU9": 1.0, "AU10": 1.0, "AU15": 0.4, "AU25": 0.7, "AU7": 0.4},
    ),
    "fear": (
        {"AU1": 1.0, "AU2": 0.5, "AU4": 0.6, "AU5": 1.0, "AU20": 1.0, "AU25": 0.9},
        {"AU1": 1.0, "AU2": 0.5, "AU4": 0.6, "AU5": 1.0, "AU20": 0.8, "AU25": 0.8, "AU26": 0.45},
    ),
    "happiness": (
        {"AU6": 0.9, "AU12": 1.0},
        {"AU6": 0.9, "AU12": 1.0, "AU25": 1.0},
        {"AU6": 1.0, "AU12": 1.0, "AU25": 1.0, "AU26": 0.2},
    ),
    "neutral": ({},),
    "sadness": (
        {"AU1": 1.0, "AU4": 0.5, "AU15": 1.0, "AU17": 0.2},
        {"AU1": 1.0, "AU4": 0.6, "AU15": 0.9, "AU17": 0.8},
    ),
    "surprise": ({"AU1": 1.0, "AU2": 1.0, "AU5": 0.9, "AU25": 0.5, "AU26": 1.0},),
}

INTENSITY = (0.45, 1.0)
"""Range that an intensity is drawn from: below about 0.4 human raters disagree on the expression."""

REST = 0.12
"""Largest activation of a face at rest: a real neutral face is not blank."""

Activations = Mapping[str, NDArray[np.float64]]
"""Unit -> strength on the image's left and right side, 0 (at rest) to about 1.2."""


def at_rest(rng: np.random.Generator) -> Activations:
    """Draw the slight activations of one person's neutral face."""
    strengths = rng.uniform(0.0, REST, len(UNITS)) * (rng.random(len(UNITS)) < 0.4)
    # Raised and lowered brows cancel, but a resting mouth is closed: a gap would read as speech.
    return {
        unit: np.full(2, 0.0 if unit in ("AU25", "AU26") else value)
        for unit, value in zip(UNITS, strengths, strict=True)
    }


def activate(rest: Activations, expression: str, intensity: float, rng: np.random.Generator) -> Activations:
    """Add one expression to a face at rest.

    Each unit varies by 15 % between images and by a few percent between the two sides of the face.
    An intensity of 0 gives ``rest`` itself.
    """
    variants = PROTOTYPES[expression]
    weights = variants[int(rng.integers(len(variants)))]
    gains = rng.uniform(0.85, 1.15, len(UNITS))
    sides = rng.normal(1.0, 0.06, (len(UNITS), 2)).clip(0.85, 1.15)
    return {
        unit: rest[unit] + weights.get(unit, 0.0) * intensity * gains[i] * sides[i]
        for i, unit in enumerate(UNITS)
    }
