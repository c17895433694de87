"""Curves of a face in face units, from a person and the activations of their action units.

Displacements are shares of the image at full activation, set from the appearance changes that FACS
(Ekman & Friesen 1978) describes for each unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnlattennet.data.synthetic._action_units import Activations
from lnlattennet.data.synthetic._curves import Points, moved, smooth
from lnlattennet.data.synthetic._person import Person

SIDES = (-1.0, 1.0)
"""Direction of the image's left and right side, in the order of an activation's two values."""


@dataclass(frozen=True)
class Eye:
    """One eye; lids run from the inner to the outer corner."""

    center: Points
    upper: Points
    lower: Points
    crease: Points
    radius: float

    @property
    def outline(self) -> Points:
        """Return the closed opening between the lids."""
        return np.concatenate([self.upper, self.lower[::-1]])


@dataclass(frozen=True)
class Brow:
    """One brow from the inner to the outer end, and its thickness along the way."""

    spine: Points
    thickness: NDArray[np.float64]


@dataclass(frozen=True)
class Mouth:
    """Lip edges from the left to the right corner, and how much of the upper teeth shows."""

    outer_upper: Points
    inner_upper: Points
    inner_lower: Points
    outer_lower: Points
    gap: float
    teeth: float


@dataclass(frozen=True)
class Face:
    """Every curve of one face; ``wing`` is the y of the nostril wings on each side."""

    eyes: tuple[Eye, Eye]
    brows: tuple[Brow, Brow]
    mouth: Mouth
    head: Points
    chin: float
    nose: float
    wing: NDArray[np.float64]


def _brow(person: Person, act: Activations, side: int) -> Brow:
    base_x = np.array([0.078, 0.145, 0.215, 0.285])
    arch = person.brow_arch
    base_y = 0.338 + person.brow_height + np.array([0.0, -0.8 * arch, -arch, 0.4 * arch + 0.006])
    au = {unit: act[unit][side] for unit in ("AU1", "AU2", "AU4", "AU6", "AU9")}
    rise = (
        au["AU1"] * np.array([0.050, 0.030, 0.008, -0.004])
        + au["AU2"] * np.array([0.006, 0.026, 0.044, 0.034])
        - au["AU4"] * np.array([0.034, 0.026, 0.012, 0.000])
        - au["AU9"] * np.array([0.028, 0.018, 0.008, 0.002])
        - au["AU6"] * np.array([0.000, 0.000, 0.004, 0.005])
    )
    inward = (au["AU4"] + 0.5 * au["AU9"]) * np.array([0.024, 0.018, 0.008, 0.0])
    points = np.stack([0.5 + SIDES[side] * (base_x - inward), base_y - rise], axis=1)
    thickness = person.brow_thickness * np.array([[0.75], [1.0], [0.8], [0.15]])
    return Brow(smooth(points, 20), smooth(thickness, 20)[:, 0])


def _lid_heights(person: Person, act: Activations, side: int) -> tuple[float, float]:
    """Return how far the upper and lower lid stand from the line between the eye's corners."""
    au = {unit: float(act[unit][side]) for unit in ("AU4", "AU5", "AU6", "AU7", "AU9")}
    narrow = 1.0 - 0.30 * au["AU7"] - 0.22 * au["AU6"] - 0.28 * au["AU9"] - 0.10 * au["AU4"]
    upper = 0.035 * person.eye_open * max(0.35, narrow + 0.62 * au["AU5"])
    tight = 1.0 - 0.50 * au["AU7"] - 0.50 * au["AU6"] - 0.40 * au["AU9"] + 0.18 * au["AU5"]
    return upper * person.eye_scale, 0.022 * person.eye_scale * max(0.2, tight)


def _eye(person: Person, act: Activations, side: int) -> Eye:
    sign = SIDES[side]
    center = np.array([0.5 + sign * person.eye_spacing, 0.408])
    half = 0.078 * person.eye_scale
    upper, lower = _lid_heights(person, act, side)
    # AU1 pulls the inner lid up, and in AU1+4 the outer lid hangs: the oblique eyes of sadness.
    oblique = float(act["AU1"][side]) * (1.0 - float(np.clip(act["AU5"][side] + act["AU2"][side], 0, 1)))
    x = sign * half * np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    tilt = person.eye_tilt * np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    top = upper * np.array([-0.12, 0.78 + 0.22 * oblique, 1.0, 0.80 - 0.3 * oblique, 0.05 - 0.25 * oblique])
    low = lower * np.array([0.25, 0.75, 1.0, 0.95, 0.0])
    low[0], low[-1] = -top[0], -top[-1]
    upper_lid = center + np.stack([x, -top - tilt], axis=1)
    lower_lid = center + np.stack([x, low - tilt], axis=1)
    lift = np.array([0.004, 0.016, 0.019, 0.018, 0.012]) * (
        1.0 - 0.35 * float(np.clip(act["AU5"][side], 0, 1))
    )
    crease = upper_lid - np.stack([np.zeros(5), lift], axis=1)
    return Eye(center, smooth(upper_lid), smooth(lower_lid), smooth(crease, 14), 0.036 * person.eye_scale)


def _corners(person: Person, act: Activations) -> Points:
    """Return the left and right mouth corner [2, 2]."""
    out = 0.046 * act["AU12"] + 0.042 * act["AU20"] + 0.004 * act["AU15"]
    out = out - 0.016 * act["AU23"] - 0.040 * act["AU26"] - 0.008 * act["AU17"]
    fall = 0.046 * act["AU15"] - 0.050 * act["AU12"] + 0.014 * act["AU20"] + 0.040 * act["AU26"]
    fall = fall + 0.012 * act["AU17"] - 0.006 * act["AU9"] + person.mouth_bend
    x = 0.5 + np.array(SIDES) * (person.mouth_width + out)
    return np.stack([x, person.mouth_height + fall], axis=1)


_ACROSS = np.array([-1.0, -0.62, -0.26, 0.0, 0.26, 0.62, 1.0])


def _seam(person: Person, act: Activations) -> Points:
    """Return where the closed lips meet, from corner to corner [7, 2]."""
    left, right = _corners(person, act)
    weight = np.abs(_ACROSS) ** 1.7
    ends = np.where(_ACROSS < 0, left[1], right[1])
    raised = 0.020 * act["AU10"].mean() + 0.020 * act["AU17"].mean() + 0.008 * act["AU9"].mean()
    middle = person.mouth_height - raised + 0.010 * act["AU12"].mean()
    x = np.interp(_ACROSS, [-1.0, 0.0, 1.0], [left[0], 0.5, right[0]])
    dip = 0.003 * np.array([0.0, 0.0, -1.0, 1.0, -1.0, 0.0, 0.0])
    return np.stack([x, middle + (ends - middle) * weight + dip], axis=1)


def _mouth(person: Person, act: Activations) -> Mouth:
    mean = {unit: float(values.mean()) for unit, values in act.items()}
    seam = _seam(person, act)
    arch = 1.0 - np.abs(_ACROSS) ** 2.4
    part = mean["AU25"]
    up = 0.010 * mean["AU26"] + part * (
        0.006 + 0.016 * mean["AU10"] + 0.006 * mean["AU12"] + 0.006 * mean["AU20"]
    )
    down = part * (0.022 + 0.026 * mean["AU12"] + 0.006 * mean["AU20"]) + 0.105 * mean["AU26"]
    thin = max(0.25, 1.0 - 0.6 * mean["AU23"] - 0.25 * mean["AU12"] - 0.3 * mean["AU20"])
    above = person.upper_lip * thin * max(0.4, 1.0 - 0.25 * mean["AU10"])
    below = person.lower_lip * thin * (1.0 - 0.15 * mean["AU26"] + 0.1 * mean["AU17"])
    cupid = np.array([0.06, 0.55, 1.0, 0.84, 1.0, 0.55, 0.06])
    fullness = np.array([0.06, 0.62, 0.95, 1.0, 0.95, 0.62, 0.06])
    edges = (-up * arch - above * cupid, -up * arch, down * arch, down * arch + below * fullness)
    curves = [smooth(seam + np.stack([np.zeros(7), edge], axis=1), 32) for edge in edges]
    smile = mean["AU12"] + mean["AU20"] + mean["AU10"]
    outer_upper, inner_upper, inner_lower, outer_lower = curves
    teeth = min(1.0, 0.25 + 0.9 * smile)
    return Mouth(outer_upper, inner_upper, inner_lower, outer_lower, up + down, teeth)


def _head(person: Person, chin: float) -> Points:
    """Return the closed outline of the head without its ears, clockwise from the top."""
    w = person.face_width
    right = np.array(
        [
            (0.0, -0.13),
            (0.62 * w, -0.07),
            (0.93 * w, 0.12),
            (w, 0.36),
            (0.975 * w, 0.56),
            (person.jaw * w, 0.76 + 0.3 * (chin - person.chin)),
            (0.44 * w, chin - 0.050),
            (0.20 * w, chin - 0.004),
            (0.0, chin),
        ]
    )
    half = smooth(right, 40)
    left = half[::-1] * np.array([-1.0, 1.0])
    return moved(np.concatenate([half, left[1:-1]]), 0.5, 0.0)


def build_face(person: Person, act: Activations) -> Face:
    """Return the curves of ``person`` showing ``act``."""
    chin = person.chin + 0.062 * float(act["AU26"].mean()) - 0.010 * float(act["AU17"].mean())
    wing = person.nose_length + 0.012 - 0.020 * act["AU9"] - 0.010 * act["AU10"]
    return Face(
        eyes=(_eye(person, act, 0), _eye(person, act, 1)),
        brows=(_brow(person, act, 0), _brow(person, act, 1)),
        mouth=_mouth(person, act),
        head=_head(person, chin),
        chin=chin,
        nose=person.nose_length,
        wing=wing,
    )
