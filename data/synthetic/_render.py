"""One seeded image of a face with a known expression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lnlattennet.data.synthetic._action_units import EXPRESSIONS, INTENSITY, activate, at_rest
from lnlattennet.data.synthetic._camera import photograph
from lnlattennet.data.synthetic._identity import draw_person
from lnlattennet.data.synthetic._nuisance import TRAIN, Nuisance
from lnlattennet.data.synthetic._paint import Plane
from lnlattennet.data.synthetic._portrait import compose
from lnlattennet.data.synthetic._scene import draw_scene
from lnlattennet.errors import ConfigError

# The streams of one seed: the expression has its own, so that all expressions share the other four.
_PERSON, _SCENE, _REST, _GRAIN, _EXPRESSION = range(5)


@dataclass(frozen=True)
class RenderedFace:
    """An image and what is known about it.

    Attributes:
        image: RGB [size, size, 3].
        label: Index into ``EXPRESSIONS``.
        intensity: Strength of the expression, 0..1; 0 for neutral.
        regions: Share of the visible change against the same face at rest in each cell of the image,
            [grid, grid], row-major, summing to 1; all zeros where nothing changes (neutral, intensity 0)
            or where regions were not asked for.
    """

    image: NDArray[np.uint8]
    label: int
    intensity: float
    regions: NDArray[np.float32]


def _is_int(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_real(value: object) -> bool:
    return isinstance(value, float | int | np.floating) and not isinstance(value, bool)


def _check(seed: int, expression: str, size: int, grid: int, intensity: float | None) -> None:
    if not _is_int(seed) or seed < 0:
        raise ConfigError(f"seed must be an integer of 0 or more, got {seed!r}")
    if expression not in EXPRESSIONS:
        raise ConfigError(f"expression must be one of {', '.join(EXPRESSIONS)}, got {expression!r}")
    if not _is_int(size) or size < 16:
        raise ConfigError(f"size must be an integer of 16 or more pixels, got {size!r}")
    if not _is_int(grid) or not 1 <= grid <= size:
        raise ConfigError(f"grid must be an integer in 1..size ({size}), got {grid!r}")
    if intensity is not None and not (_is_real(intensity) and 0.0 <= intensity <= 1.0):
        raise ConfigError(f"intensity must be in 0..1, or None to draw it, got {intensity!r}")


def _stream(seed: int, *purpose: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, *purpose]))


def _share_of_change(face: Plane, rest: Plane, grid: int) -> NDArray[np.float32]:
    """Mean absolute difference of two images in each cell, as shares [grid, grid]."""
    change = np.abs(face - rest).mean(axis=2)
    cells = np.asarray(cv2.resize(change, (grid, grid), interpolation=cv2.INTER_AREA), dtype=np.float32)
    total = cells.sum()
    return cells / total if total > 0.0 else np.zeros_like(cells)


def render_face(
    seed: int,
    expression: str,
    *,
    size: int = 112,
    grid: int = 4,
    intensity: float | None = None,
    nuisance: Nuisance = TRAIN,
    with_regions: bool = True,
) -> RenderedFace:
    """Render one face; the same arguments give the same bytes.

    A seed fixes the person, the light, the pose, the things in the image and the camera; the same seed
    with another expression is the same photograph of another expression.

    Args:
        seed: 0 or more.
        expression: One of ``EXPRESSIONS``, made of the EMFACS action units.
        size: Side of the image in pixels, 16 or more.
        grid: Cells per side of ``regions``.
        intensity: 0 (at rest) to 1 (extreme), or None to draw it from ``action_units.INTENSITY``.
        nuisance: What everything else is drawn from.
        with_regions: Compute ``regions``, which takes a second rendering of the face at rest.

    Raises:
        ConfigError: an argument breaks one of these rules.
    """
    _check(seed, expression, size, grid, intensity)
    label = EXPRESSIONS.index(expression)
    person = draw_person(_stream(seed, _PERSON), nuisance)
    scene = draw_scene(_stream(seed, _SCENE), nuisance)
    rest = at_rest(_stream(seed, _REST))
    rng = _stream(seed, _EXPRESSION, label)
    drawn = rng.uniform(*INTENSITY)
    strength = 0.0 if expression == "neutral" else float(drawn if intensity is None else intensity)
    clean = compose(person, activate(rest, expression, strength, rng), scene, size)
    regions = np.zeros((grid, grid), np.float32)
    if with_regions and strength > 0.0:
        regions = _share_of_change(clean, compose(person, rest, scene, size), grid)
    image = photograph(clean, scene.camera, _stream(seed, _GRAIN))
    return RenderedFace(image=image, label=label, intensity=strength, regions=regions)
