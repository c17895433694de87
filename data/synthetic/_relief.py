"""Height field of a face as Gaussian bumps: bones and flesh at rest, bulges and wrinkles when it moves.

A bump is a row (x, y, width, height, amplitude) in face units; its sizes are standard deviations. A
wrinkle is a row of narrow negative bumps along a curve.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lnlattennet.data.synthetic._action_units import Activations
from lnlattennet.data.synthetic._curves import Points, moved, smooth
from lnlattennet.data.synthetic._geometry import SIDES, Face
from lnlattennet.data.synthetic._person import Person

Bumps = NDArray[np.float64]
"""Rows [n, 5]."""


def _beads(
    controls: Points, width: float, height: float, amplitude: NDArray[np.float64] | float, count: int = 9
) -> Bumps:
    """Return a furrow (negative amplitude) or ridge along a smooth curve."""
    points = smooth(np.asarray(controls, dtype=np.float64), count)
    rows = np.empty((count, 5))
    rows[:, :2] = points
    rows[:, 2], rows[:, 3], rows[:, 4] = width, height, amplitude
    return rows


def _nose(person: Person, face: Face) -> Bumps:
    w, tip = person.nose_width, face.nose
    ridge = [(0.5, y, 0.026 + 0.01 * t, 0.035, 0.010 + 0.014 * t) for t, y in _down(0.40, tip - 0.03)]
    wings = [
        (0.5 + s * 0.062 * w, face.wing[i] - 0.008, 0.020 * w, 0.022, 0.028) for i, s in enumerate(SIDES)
    ]
    creases = [(0.5 + s * 0.092 * w, face.wing[i] - 0.004, 0.010, 0.022, -0.014) for i, s in enumerate(SIDES)]
    ball = (0.5, tip - 0.012, 0.034 * w, 0.030, 0.046)
    under = (0.5, tip + 0.040, 0.060 * w, 0.014, -0.022)
    return np.array([*ridge, *wings, *creases, ball, under])


def _down(top: float, bottom: float, count: int = 5) -> list[tuple[float, float]]:
    return [(t, top + t * (bottom - top)) for t in np.linspace(0.0, 1.0, count).tolist()]


def _bones(face: Face, act: Activations) -> Bumps:
    rows = [
        (0.5, 0.345, 0.035, 0.030, 0.008),
        (0.5, 0.68, 0.012, 0.026, -0.006),
        (0.5, 0.755, 0.120, 0.060, 0.020),
        (0.5, face.chin - 0.062, 0.070, 0.040, 0.030 + 0.012 * act["AU17"].mean()),
    ]
    for i, s in enumerate(SIDES):
        eye, brow = face.eyes[i], face.brows[i]
        rise = float(act["AU6"][i] + 0.6 * act["AU12"][i])
        rows += [
            (brow.spine[9, 0], brow.spine[9, 1] + 0.004, 0.080, 0.022, 0.016 + 0.010 * float(act["AU4"][i])),
            (eye.center[0], 0.400, 0.075, 0.034, -0.030),
            (0.5 + s * 0.080, 0.398, 0.026, 0.030, -0.026),
            (eye.center[0], 0.408, 0.048, 0.030, 0.020),
            (0.5 + s * 0.235, 0.560 - 0.018 * rise, 0.080, 0.055, 0.024 + 0.020 * rise),
            (0.5 + s * 0.265, 0.730, 0.060, 0.075, -0.014),
            (0.5 + s * 0.330, 0.270, 0.050, 0.080, -0.010),
        ]
    return np.array(rows)


def _lips(face: Face, act: Activations) -> Bumps:
    mouth = face.mouth
    upper = float((mouth.outer_upper[16, 1] + mouth.inner_upper[16, 1]) / 2.0)
    lower = float((mouth.outer_lower[16, 1] + mouth.inner_lower[16, 1]) / 2.0)
    bottom = float(mouth.outer_lower[16, 1])
    pout = float(act["AU17"].mean())
    half = float(np.ptp(mouth.inner_upper[:, 0])) / 2.0
    return np.array(
        [
            (0.5, upper, 0.60 * half, 0.012, 0.008),
            (0.5, lower, 0.52 * half, 0.015, 0.012 + 0.004 * pout),
            (0.5, bottom + 0.020, 0.070, 0.014, -0.016 - 0.010 * pout),
            (mouth.inner_upper[0, 0] - 0.010, mouth.inner_upper[0, 1], 0.012, 0.014, -0.008),
            (mouth.inner_upper[-1, 0] + 0.010, mouth.inner_upper[-1, 1], 0.012, 0.014, -0.008),
        ]
    )


def _forehead(person: Person, act: Activations) -> Bumps:
    """Return the crosswise lines of AU1 in the middle and of AU2 at the sides, deeper with age."""
    across = np.linspace(-1.0, 1.0, 15)
    fade = 1.0 - across**4
    inner, outer = np.exp(-((across / 0.45) ** 2)), np.minimum(np.abs(across) * 1.3, 1.0)
    au1, au2 = (
        act[unit][0] + (act[unit][1] - act[unit][0]) * (across + 1.0) / 2.0 for unit in ("AU1", "AU2")
    )
    moved = (0.0034 * au1 * inner + 0.0036 * au2 * outer) * (0.5 + 0.7 * person.age)
    depth = (0.0010 * person.age + moved) * fade
    lines = []
    for y, share, bow in person.forehead_lines:
        row = np.empty((30, 5))
        row[:, 0] = np.tile(0.5 + 0.2 * across, 2)
        row[:15, 1] = y + bow * np.cos(np.pi * across) - 0.006 * (au1 + au2)
        row[15:, 1] = row[:15, 1] + 0.020
        row[:, 2] = 0.022
        row[:15, 3], row[15:, 3] = 0.0065, 0.011
        row[:15, 4], row[15:, 4] = -share * depth, 0.8 * share * depth
        lines.append(row)
    return np.concatenate(lines)


def _frown(person: Person, face: Face, act: Activations) -> Bumps:
    """Return the vertical lines of AU4 between the brows and the crosswise ones of AU9 on the nose."""
    parts = []
    for i, s in enumerate(SIDES):
        au4, au9 = float(act["AU4"][i]), float(act["AU9"][i])
        y = float(face.brows[i].spine[0, 1])
        line = [(0.5 + s * 0.030, y - 0.050), (0.5 + s * 0.022, y - 0.010), (0.5 + s * 0.026, y + 0.028)]
        parts.append(
            _beads(np.array(line), 0.0075, 0.014, -(0.0085 * au4 + 0.003 * au9) * person.frown_lines[i], 7)
        )
        side = [(0.5 + s * 0.020, 0.450), (0.5 + s * 0.050, 0.470), (0.5 + s * 0.072, 0.505)]
        parts.append(_beads(np.array(side), 0.010, 0.010, -0.0075 * au9, 6))
    au9 = float(act["AU9"].mean())
    for y in (0.385, 0.412, 0.440):
        parts.append(
            _beads(
                np.array([(0.468, y + 0.004), (0.5, y), (0.532, y + 0.004)]), 0.012, 0.007, -0.006 * au9, 5
            )
        )
    bridge = np.array([(0.5, 0.370 + 0.01, 0.03, 0.012, 0.012 * float(act["AU4"].mean()) + 0.010 * au9)])
    return np.concatenate([*parts, bridge])


def _folds(person: Person, face: Face, act: Activations) -> Bumps:
    """Return nasolabial folds (AU9, AU10, AU12, AU6), and lines below the mouth corners (AU15)."""
    parts = []
    mouth = face.mouth
    for i, s in enumerate(SIDES):
        au = {unit: float(act[unit][i]) for unit in ("AU6", "AU9", "AU10", "AU12", "AU15", "AU20")}
        corner = mouth.inner_upper[0 if s < 0 else -1]
        wing = np.array([0.5 + s * 0.092 * person.nose_width, face.wing[i] - 0.012])
        end = moved(corner, s * (0.034 + 0.010 * au["AU12"]), 0.004)
        middle = (wing + end) / 2.0 + (s * (0.020 + 0.016 * au["AU10"] + 0.014 * au["AU9"]), -0.012)
        deep = (
            0.004 * person.age
            + 0.011 * au["AU12"]
            + 0.009 * au["AU9"]
            + 0.009 * au["AU10"]
            + 0.004 * au["AU20"]
        )
        curve = np.stack([wing, middle, end])
        parts.append(_beads(curve, 0.011, 0.012, -deep, 11))
        parts.append(_beads(moved(curve, s * 0.030, -0.016), 0.024, 0.024, 0.75 * deep, 7))
        below = corner + np.array([(s * 0.012, 0.004), (s * 0.022, 0.030), (s * 0.020, 0.060)])
        parts.append(
            _beads(below, 0.009, 0.012, -0.002 * person.age - 0.0045 * au["AU15"] - 0.002 * au["AU20"], 7)
        )
    return np.concatenate(parts)


def _eye_lines(person: Person, face: Face, act: Activations) -> Bumps:
    """Return crow's feet (AU6, AU12) and the pouch under the lower lid (AU6, AU7)."""
    parts = []
    for i, s in enumerate(SIDES):
        eye = face.eyes[i]
        au6, au7 = float(act["AU6"][i]), float(act["AU7"][i])
        outer = eye.upper[-1]
        for slope in (-0.55, 0.05, 0.6):
            ray = outer + np.array([(s * 0.018, 0.018 * slope), (s * 0.044, 0.044 * slope + 0.003)])
            parts.append(_beads(ray, 0.009, 0.0055, -0.0012 * person.age - 0.0050 * au6, 5))
        bag = moved(eye.lower[3:-3:3], 0.0, 0.020)
        parts.append(
            _beads(bag, 0.014, 0.0065, -0.0022 * person.age - 0.0045 * au6 - 0.0035 * au7 - 0.001, 8)
        )
        parts.append(_beads(bag - (0.0, 0.011), 0.014, 0.007, 0.0025 * (au6 + au7), 8))
    return np.concatenate(parts)


def _chin(face: Face, act: Activations) -> Bumps:
    """Return the pebbled skin of a raised chin (AU17)."""
    x, y = np.meshgrid(np.linspace(-0.05, 0.05, 4), np.linspace(-0.09, -0.045, 3))
    count = x.size
    rows = np.full((count, 5), 0.008)
    rows[:, 0], rows[:, 1] = 0.5 + x.ravel() + 0.006 * (np.arange(count) % 2), face.chin + y.ravel()
    rows[:, 4] = -0.0022 * float(act["AU17"].mean())
    return rows


def bumps(person: Person, face: Face, act: Activations) -> Bumps:
    """Return every bump of one face, rows [n, 5]."""
    rows = np.concatenate(
        [
            _nose(person, face),
            _bones(face, act),
            _lips(face, act),
            _forehead(person, act),
            _frown(person, face, act),
            _folds(person, face, act),
            _eye_lines(person, face, act),
            _chin(face, act),
        ]
    )
    rows[:, 4] *= person.relief_scale
    return rows
