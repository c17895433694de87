"""Surroundings of the person in one image: light, pose, glasses, occluder, background and camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnlattennet.data.synthetic._nuisance import Nuisance


@dataclass(frozen=True)
class Light:
    """A distant light and the even light around it.

    Attributes:
        direction: Unit vector toward the light: x right, y down, z to the camera.
        strength: Its share of all light, 0..1.
        color: Red, green and blue, near 1.
    """

    direction: NDArray[np.float64]
    strength: float
    color: NDArray[np.float32]


@dataclass(frozen=True)
class Pose:
    """Head pose in radians, crop zoom, and crop shift as a share of the image."""

    roll: float
    yaw: float
    pitch: float
    zoom: float
    shift: tuple[float, float]


@dataclass(frozen=True)
class Camera:
    """Effects of the camera on the image; pixels are those of a 112-pixel image, 0 or 1 for none."""

    gray: bool
    gamma: float
    contrast: float
    blur: float
    motion: float
    motion_angle: float
    noise: float
    resolution: float
    jpeg_quality: int


@dataclass(frozen=True)
class Scene:
    """Everything but the person and the expression; an empty kind means none."""

    light: Light
    pose: Pose
    camera: Camera
    gaze: tuple[float, float]
    glasses: str
    tint: float
    occluder: str
    occluded_area: float
    background: str
    prop_seed: int


def _light(rng: np.random.Generator, nuisance: Nuisance) -> Light:
    azimuth = np.deg2rad(rng.uniform(*nuisance.light_azimuth)) * rng.choice([-1.0, 1.0])
    elevation = np.deg2rad(rng.uniform(*nuisance.light_elevation))
    direction = np.array(
        [np.sin(azimuth) * np.cos(elevation), -np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]
    )
    warmth = rng.uniform(*nuisance.light_warmth)
    color = np.array([1.0 + warmth, 1.0, 1.0 - 1.4 * warmth], dtype=np.float32)
    return Light(direction, rng.uniform(*nuisance.light_strength), color)


def _pose(rng: np.random.Generator, nuisance: Nuisance) -> Pose:
    roll, yaw, pitch = (
        float(np.deg2rad(rng.uniform(*degrees))) for degrees in (nuisance.roll, nuisance.yaw, nuisance.pitch)
    )
    shift = (rng.uniform(*nuisance.shift), rng.uniform(*nuisance.shift))
    return Pose(roll, yaw, pitch, rng.uniform(*nuisance.zoom), shift)


def _camera(rng: np.random.Generator, nuisance: Nuisance) -> Camera:
    low = rng.random() < nuisance.low_resolution
    scale = rng.uniform(*nuisance.low_resolution_scale)
    packed = rng.random() < nuisance.jpeg
    quality = round(rng.uniform(*nuisance.jpeg_quality))
    return Camera(
        gray=bool(rng.random() < nuisance.grayscale),
        gamma=rng.uniform(*nuisance.gamma),
        contrast=rng.uniform(*nuisance.contrast),
        blur=rng.uniform(*nuisance.blur),
        motion=rng.uniform(*nuisance.motion),
        motion_angle=rng.uniform(0.0, np.pi),
        noise=rng.uniform(*nuisance.noise),
        resolution=scale if low else 1.0,
        jpeg_quality=quality if packed else 0,
    )


def draw_scene(rng: np.random.Generator, nuisance: Nuisance) -> Scene:
    """Draw one image's surroundings from the ranges of ``nuisance``."""
    wears = rng.random() < nuisance.glasses
    shape = str(rng.choice(nuisance.glasses_shapes))
    hides = rng.random() < nuisance.occlusion
    occluder = str(rng.choice(nuisance.occluders))
    return Scene(
        light=_light(rng, nuisance),
        pose=_pose(rng, nuisance),
        camera=_camera(rng, nuisance),
        gaze=(rng.normal(0.0, 0.012), rng.normal(0.0, 0.004)),
        glasses=shape if wears else "",
        tint=rng.uniform(*nuisance.glasses_tint),
        occluder=occluder if hides else "",
        occluded_area=rng.uniform(*nuisance.occluded_area),
        background=str(rng.choice(nuisance.backgrounds)),
        prop_seed=int(rng.integers(2**31)),
    )
