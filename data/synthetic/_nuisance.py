"""Ranges of the nuisance factors of a rendered image: everything but the expression.

``TRAIN`` and ``HELD_OUT`` share poses and skin tones, and differ in light, hair, glasses, occluders,
backgrounds and camera, so that a test on ``HELD_OUT`` measures how well a network recognizes
expressions under conditions that it was not trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard

from lnlattennet.data.synthetic._colors import HAIR
from lnlattennet.errors import ConfigError

Range = tuple[float, float]

_KINDS: dict[str, tuple[str, ...]] = {
    "hair_styles": ("bald", "short", "swept", "fringe", "long", "receding", "curly", "parted"),
    "hair_colors": tuple(HAIR),
    "beards": ("none", "stubble", "mustache", "full", "goatee"),
    "glasses_shapes": ("round", "rectangle", "aviator", "browline"),
    "backgrounds": ("flat", "gradient", "blobs", "noise", "stripes", "bokeh"),
    "occluders": ("bar", "blob", "hand", "scarf", "phone"),
}

_CHANCES = ("glasses", "occlusion", "grayscale", "low_resolution", "jpeg")

# What a range may reach: beyond these, the image breaks or the expression cannot be recognized.
_BOUNDS: dict[str, Range] = {
    "melanin": (0.0, 1.0),
    "age": (0.0, 1.0),
    "glasses_tint": (0.0, 0.6),
    "light_azimuth": (0.0, 85.0),
    "light_elevation": (-45.0, 80.0),
    "light_strength": (0.0, 0.9),
    "light_warmth": (-0.3, 0.3),
    "roll": (-30.0, 30.0),
    "yaw": (-25.0, 25.0),
    "pitch": (-15.0, 15.0),
    "zoom": (0.6, 1.6),
    "shift": (-0.2, 0.2),
    "occluded_area": (0.0, 0.3),
    "gamma": (0.3, 3.0),
    "contrast": (0.2, 2.0),
    "blur": (0.0, 4.0),
    "motion": (0.0, 10.0),
    "noise": (0.0, 0.2),
    "low_resolution_scale": (0.1, 1.0),
    "jpeg_quality": (5.0, 100.0),
}


@dataclass(frozen=True)
class Nuisance:
    """Ranges (low, high), chances and kinds that images are drawn from; the defaults are ``TRAIN``'s.

    Angles are degrees, pixels are those of a 112-pixel image, shift is a share of the image.

    Raises:
        ConfigError: a range is not low <= high within its bounds, a chance is outside 0..1, or a kind
            is unknown or missing.
    """

    melanin: Range = (0.0, 1.0)
    hair_styles: tuple[str, ...] = ("bald", "short", "swept", "fringe", "long")
    hair_colors: tuple[str, ...] = ("black", "brown", "chestnut", "blond", "gray")
    beards: tuple[str, ...] = ("none", "none", "none", "stubble", "mustache", "full")
    age: Range = (0.0, 1.0)
    glasses: float = 0.25
    glasses_shapes: tuple[str, ...] = ("round", "rectangle")
    glasses_tint: Range = (0.0, 0.3)
    light_azimuth: Range = (0.0, 45.0)
    light_elevation: Range = (-20.0, 50.0)
    light_strength: Range = (0.25, 0.65)
    light_warmth: Range = (-0.08, 0.1)
    roll: Range = (-10.0, 10.0)
    yaw: Range = (-14.0, 14.0)
    pitch: Range = (-8.0, 8.0)
    zoom: Range = (0.9, 1.12)
    shift: Range = (-0.04, 0.04)
    backgrounds: tuple[str, ...] = ("flat", "gradient", "blobs")
    occlusion: float = 0.15
    occluders: tuple[str, ...] = ("bar", "blob", "hand")
    occluded_area: Range = (0.04, 0.18)
    grayscale: float = 0.2
    gamma: Range = (0.7, 1.25)
    contrast: Range = (0.8, 1.25)
    blur: Range = (0.0, 1.0)
    motion: Range = (0.0, 0.0)
    noise: Range = (0.0, 0.03)
    low_resolution: float = 0.3
    low_resolution_scale: Range = (0.4, 0.9)
    jpeg: float = 0.3
    jpeg_quality: Range = (40.0, 95.0)

    def __post_init__(self) -> None:
        for name, among in _KINDS.items():
            _check_kinds(name, getattr(self, name), among)
        for name in _CHANCES:
            _check_chance(name, getattr(self, name))
        for name, within in _BOUNDS.items():
            _check_range(name, getattr(self, name), within)


def _check_chance(name: str, value: object) -> None:
    if not _is_number(value) or not 0.0 <= value <= 1.0:
        raise ConfigError(f"nuisance.{name} must be a chance in 0..1, got {value!r}")


def _check_kinds(name: str, value: object, among: tuple[str, ...]) -> None:
    if not isinstance(value, tuple) or not value or any(kind not in among for kind in value):
        raise ConfigError(
            f"nuisance.{name} must be a tuple of one or more of {', '.join(among)}, got {value!r}"
        )


def _check_range(name: str, value: object, within: Range) -> None:
    low, high = within
    ordered = (
        isinstance(value, tuple)
        and len(value) == 2
        and all(_is_number(end) for end in value)
        and low <= value[0] <= value[1] <= high
    )
    if not ordered:
        raise ConfigError(
            f"nuisance.{name} must be (low, high) with {low:g} <= low <= high <= {high:g}, got {value!r}"
        )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


TRAIN = Nuisance()
"""Ranges of training faces."""

HELD_OUT = Nuisance(
    hair_styles=("receding", "curly", "parted"),
    hair_colors=("auburn", "platinum", "dyed", "black"),
    beards=("none", "none", "none", "goatee"),
    glasses_shapes=("aviator", "browline"),
    glasses_tint=(0.2, 0.45),
    light_azimuth=(45.0, 70.0),
    light_elevation=(-20.0, 10.0),
    light_strength=(0.35, 0.6),
    light_warmth=(0.1, 0.2),
    backgrounds=("noise", "stripes", "bokeh"),
    occlusion=0.2,
    occluders=("scarf", "phone"),
    grayscale=0.1,
    gamma=(0.5, 0.69),
    contrast=(0.7, 1.0),
    blur=(0.0, 1.1),
    motion=(0.0, 3.0),
    noise=(0.0, 0.035),
    jpeg=0.4,
    jpeg_quality=(20.0, 60.0),
)
"""Ranges of the held-out test: light, hair, occluders and cameras that do not occur in training."""
