"""Seeded images of faces with known expressions."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lnlattennet.data.synthetic import _hair as hair
from lnlattennet.data.synthetic._action_units import EXPRESSIONS, INTENSITY, Activations, activate, at_rest
from lnlattennet.data.synthetic._camera import capture
from lnlattennet.data.synthetic._canvas import Canvas, Layer, Plane, Projection, enlarge, enlarge_image
from lnlattennet.data.synthetic._curves import ellipse, moved
from lnlattennet.data.synthetic._features import feature_layers, glints, mouth_layers
from lnlattennet.data.synthetic._geometry import SIDES, Face, build_face
from lnlattennet.data.synthetic._nuisance import TRAIN, Nuisance
from lnlattennet.data.synthetic._person import Person, draw_person
from lnlattennet.data.synthetic._props import draw_background, glasses_layers, occluder_layers
from lnlattennet.data.synthetic._relief import bumps
from lnlattennet.data.synthetic._scene import Scene, draw_scene
from lnlattennet.data.synthetic._shading import shade
from lnlattennet.errors import ConfigError

# A canvas 1.7 times the size smooths edges and costs a quarter less than one of twice the size; one below
# 192 pixels is too coarse for eyelids. The shading needs an even side.
_SUPERSAMPLING = 1.7
_SMALLEST_CANVAS = 192

# Dark skin reflects as much light from its surface as fair skin: the shine is added, not multiplied.
_SHINE = np.float32(0.2)

_NECK = np.array([(0.24, 0.78), (0.76, 0.78), (0.80, 1.5), (0.20, 1.5)])
_BLUSH = np.array([1.0, 0.74, 0.70], dtype=np.float32)


def _skin(person: Person, side: int) -> Plane:
    """Return bare skin [3, side, side]: blotches and pores."""
    rng = np.random.default_rng([person.texture_seed, 1])
    blotches = enlarge(rng.normal(0.0, 0.025, (10, 10)).astype(np.float32), 56)
    pores = rng.normal(1.0, 0.018, (56, 56)).astype(np.float32)
    return enlarge_image(person.skin[:, None, None] * (blotches + pores), side)


def _neck_and_ears(person: Person) -> list[Layer]:
    layers = [Layer(_NECK, person.skin * np.float32(0.55), soft=0.012)]
    for side in SIDES:
        ear = ellipse((0.5 + side * (person.face_width + 0.012), 0.47), 0.038, 0.085)
        layers += [
            Layer(ear, person.skin * np.float32(0.78), soft=0.004),
            Layer(moved(ear, -side * 0.004, 0.004), person.skin * np.float32(0.6), 0.6, soft=0.014),
        ]
    return layers


def _blush(person: Person, act: Activations) -> list[Layer]:
    """Return blood near the surface of the cheeks and the tip of the nose."""
    red = person.skin * _BLUSH
    layers = [Layer(ellipse((0.5, 0.585), 0.045, 0.035), red, 0.25, soft=0.02)]
    for side, raised in zip(SIDES, act["AU6"].tolist(), strict=True):
        cheek = ellipse((0.5 + side * 0.245, 0.585 - 0.015 * raised), 0.085, 0.065)
        layers.append(Layer(cheek, red, 0.30, soft=0.04))
    return layers


def _lit_head(person: Person, act: Activations, face: Face, scene: Scene, projection: Projection) -> Plane:
    """Return the head without its hair, in its light, on a canvas of skin [3, side, side]."""
    skin = Canvas(_skin(person, projection.side), projection)
    beard = hair.beard_layers(face, person, projection.side)
    features = feature_layers(face, person, scene.gaze)
    skin.paint([*_blush(person, act), *beard, *features, *mouth_layers(face.mouth, person)])
    factors, shine = shade(bumps(person, face, act), scene.light, projection)
    for plane, factor in zip(skin.pixels, factors, strict=True):
        plane *= factor
        plane += shine * _SHINE
    skin.paint(glints(face, float(scene.light.direction[0]), scene.gaze))
    return skin.pixels


def _hair_layers(person: Person, scene: Scene, side: int) -> tuple[list[Layer], list[Layer]]:
    """Return the hair behind and before the head."""
    if person.hair.style == "bald":
        return [], []
    light_x = float(scene.light.direction[0]) * scene.light.strength
    texture = hair.strand_texture(person.hair, light_x, side, np.random.default_rng([person.texture_seed, 2]))
    outer, inner = hair.hairstyle(person)
    back = Layer(outer, person.hair.color * np.float32(0.6))
    return [back], hair.front_hair(person, outer, inner, texture)


def compose(person: Person, act: Activations, scene: Scene, size: int) -> Plane:
    """Return the clean image [size, size, 3], 0..1, of ``person`` showing ``act`` in ``scene``."""
    side = max(2 * round(_SUPERSAMPLING * size / 2.0), _SMALLEST_CANVAS)
    projection = Projection(scene.pose, side)
    face = build_face(person, act)
    back, front = _hair_layers(person, scene, side)
    head = Layer(face.head, _lit_head(person, act, face, scene, projection), soft=0.003)
    canvas = Canvas(draw_background(scene, side), projection)
    canvas.paint(
        [
            *back,
            *_neck_and_ears(person),
            head,
            *front,
            *glasses_layers(person, scene),
            *occluder_layers(scene, side),
        ]
    )
    merged = cv2.resize(cv2.merge(list(canvas.pixels)), (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(merged, 0.0, 1.0), dtype=np.float32)


# Random streams of one seed: the expression has its own, so that all expressions share the other four.
_PERSON, _SCENE, _REST, _GRAIN, _EXPRESSION = range(5)


@dataclass(frozen=True)
class RenderedFace:
    """Rendered image with its ground truth.

    Attributes:
        image: RGB [size, size, 3].
        label: Index into ``EXPRESSIONS``.
        intensity: Strength of the expression, 0..1; 0 for neutral.
        regions: Share of the visible change against the same face at rest in each cell of the image,
            [grid, grid], row-major, summing to 1; all zeros where nothing changes (neutral, intensity 0)
            or without ``with_regions``.
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
    """Return the mean absolute difference of two images in each cell, as shares [grid, grid]."""
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
    """Render one face; the same arguments and number of OpenCV threads give the same bytes.

    Data sets are rendered with one thread (``cv2.setNumThreads(1)``). With more, OpenCV 4.11 to 5.0 rounds
    some values of ``stackBlur`` otherwise, which makes a few gray levels in the end
    (findings/opencv-stackblur-threads.sh).

    A seed fixes the person, the light, the pose, the things in the image and the camera; the same seed
    with another expression gives the same scene with another expression.

    Args:
        seed: 0 or more.
        expression: One of ``EXPRESSIONS``, made of the EMFACS action units.
        size: Side of the image in pixels, 16 or more.
        grid: Cells per side of ``regions``.
        intensity: 0 (at rest) to 1 (extreme), or None to draw it from 0.45 to 1.
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
    image = capture(clean, scene.camera, _stream(seed, _GRAIN))
    return RenderedFace(image=image, label=label, intensity=strength, regions=regions)
