"""Compose one clean image: background, hair, neck, head in its light, glasses and occluder."""

from __future__ import annotations

import cv2
import numpy as np

from lnlattennet.data.synthetic import _hair as hair
from lnlattennet.data.synthetic._action_units import Activations
from lnlattennet.data.synthetic._backdrop import draw_backdrop
from lnlattennet.data.synthetic._curves import ellipse, moved
from lnlattennet.data.synthetic._features import feature_layers, glints
from lnlattennet.data.synthetic._geometry import SIDES, Face, build_face
from lnlattennet.data.synthetic._glasses import glasses_layers
from lnlattennet.data.synthetic._identity import Person
from lnlattennet.data.synthetic._mouth import mouth_layers
from lnlattennet.data.synthetic._occluders import occluder_layers
from lnlattennet.data.synthetic._paint import Canvas, Layer, Plane, enlarge, enlarge_image
from lnlattennet.data.synthetic._projection import Projection
from lnlattennet.data.synthetic._relief import bumps
from lnlattennet.data.synthetic._scene import Scene
from lnlattennet.data.synthetic._shading import shade

# A canvas 1.7 times the size smooths edges and costs a quarter less than one of twice the size; one below
# 192 pixels is too coarse for eyelids. The shading needs an even side.
_SUPERSAMPLING = 1.7
_SMALLEST_CANVAS = 192

# Dark skin reflects as much light from its surface as fair skin: the shine is added, not multiplied.
_SHINE = np.float32(0.2)

_NECK = np.array([(0.24, 0.78), (0.76, 0.78), (0.80, 1.5), (0.20, 1.5)])
_BLUSH = np.array([1.0, 0.74, 0.70], dtype=np.float32)


def _skin(person: Person, side: int) -> Plane:
    """Bare skin [3, side, side]: blotches and pores."""
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
    """Blood near the surface of the cheeks and the tip of the nose."""
    red = person.skin * _BLUSH
    layers = [Layer(ellipse((0.5, 0.585), 0.045, 0.035), red, 0.25, soft=0.02)]
    for side, raised in zip(SIDES, act["AU6"].tolist(), strict=True):
        cheek = ellipse((0.5 + side * 0.245, 0.585 - 0.015 * raised), 0.085, 0.065)
        layers.append(Layer(cheek, red, 0.30, soft=0.04))
    return layers


def _lit_head(person: Person, act: Activations, face: Face, scene: Scene, projection: Projection) -> Plane:
    """The head without its hair, in its light, on a canvas of skin [3, side, side]."""
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
    """The hair behind and before the head."""
    if person.hair.style == "bald":
        return [], []
    light_x = float(scene.light.direction[0]) * scene.light.strength
    texture = hair.strand_texture(person.hair, light_x, side, np.random.default_rng([person.texture_seed, 2]))
    outer, inner = hair.hairstyle(person)
    return [hair.back_hair(person, outer)], hair.front_hair(person, outer, inner, texture)


def compose(person: Person, act: Activations, scene: Scene, size: int) -> Plane:
    """The clean image [size, size, 3], 0..1, of ``person`` showing ``act`` in ``scene``."""
    side = max(2 * round(_SUPERSAMPLING * size / 2.0), _SMALLEST_CANVAS)
    projection = Projection(scene.pose, side)
    face = build_face(person, act)
    back, front = _hair_layers(person, scene, side)
    head = Layer(face.head, _lit_head(person, act, face, scene, projection), soft=0.003)
    canvas = Canvas(draw_backdrop(scene, side), projection)
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
