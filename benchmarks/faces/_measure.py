"""Recall, false alarms, exactness of landmarks and time of every finder on the same images."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lnlattennet._interleave import Turn, interleave
from lnlattennet.benchmarks.faces._scenes import KnownFace, Pixels, Scene
from lnlattennet.benchmarks.harness._command import say
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.images.finders._base import FaceFinder, FoundFace
from lnlattennet.model._preprocessing import Box

MISSED, FOUND, LARGEST = 0, 1, 2
"""Outcome for a known face: not found, found, found as the image's largest one, which would be cropped."""

Finders = Mapping[str, FaceFinder]


def measure_recall(record: Record, finders: Finders, scenes: Mapping[str, Sequence[Scene]]) -> None:
    """Add every finder's outcome for every known face, by condition, and the errors of its landmarks."""
    outcomes: dict[str, dict[str, list[int]]] = {}
    errors: dict[str, dict[str, list[float]]] = {}
    for condition, images in scenes.items():
        outcomes[condition], errors[condition] = {}, {}
        for name, find in finders.items():
            found = [(scene, find(scene.image, all_sizes=len(scene.faces) > 1)) for scene in images]
            outcomes[condition][name] = [outcome for pair in found for outcome in _outcomes(*pair)]
            errors[condition][name] = [error for pair in found for error in _landmark_errors(*pair)]
            share = np.mean(np.array(outcomes[condition][name]) > MISSED)
            say(f"{condition}: {name} found {share:.1%} of {len(outcomes[condition][name])}")
    record.facts |= {"outcomes": outcomes, "landmark_errors": errors}


def measure_false_alarms(record: Record, finders: Finders, faceless: Sequence[Pixels]) -> None:
    """Add how many faces every finder sees in each image that has none."""
    record.facts["false_alarms"] = {
        name: [len(find(image)) for image in faceless] for name, find in finders.items()
    }


def measure_time(
    record: Record, finders: Finders, images: Mapping[str, Sequence[Pixels]], rounds: int
) -> None:
    """Let every finder search an image in turn, ``rounds`` times for each kind of image."""
    for kind, pixels in images.items():
        samples = interleave({name: _turn(find, pixels) for name, find in finders.items()}, rounds)
        record.add(ExperimentResult(kind, {"images": len(pixels)}, warm_results(samples)))


def _turn(find: FaceFinder, images: Sequence[Pixels]) -> Turn:
    """Time a search in seconds of processor time, of all threads, which other processes change little."""
    circle = itertools.cycle(images)

    def turn() -> float:
        find(next(circle))
        image = next(circle)
        start = time.process_time_ns()
        find(image)
        return (time.process_time_ns() - start) / 1e9

    return turn


def _outcomes(scene: Scene, found: Sequence[FoundFace]) -> list[int]:
    return [_outcome(face, found) for face in scene.faces]


def _outcome(known: KnownFace, found: Sequence[FoundFace]) -> int:
    if found and lies_on(found[0], known):
        return LARGEST
    return FOUND if any(lies_on(face, known) for face in found) else MISSED


def lies_on(face: FoundFace, known: KnownFace) -> bool:
    """Tell whether a found box lies on a known face.

    Finders draw their boxes differently: it does if the overlap is at least 0.4 of the union, or if its
    center lies in the known box and it is half to twice as large.
    """
    left, top, right, bottom = known.box
    x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
    inside = left <= x <= right and top <= y <= bottom
    return _overlap(face.box, known.box) >= 0.4 or (inside and 0.5 <= face.size / known.size <= 2)


def _overlap(box: Box, other: Box) -> float:
    """Return intersection over union."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    common = max(width, 0.0) * max(height, 0.0)
    return common / (_area(box) + _area(other) - common)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _landmark_errors(scene: Scene, found: Sequence[FoundFace]) -> list[float]:
    """Return each found face's mean distance of eyes and corners of the mouth, as a share of the eyes'."""
    errors = []
    for known in scene.faces:
        face: Any = next((face for face in found if face.landmarks and lies_on(face, known)), None)
        if face is not None:
            points, truth = np.array(face.landmarks)[[0, 1, 3, 4]], np.array(known.landmarks)
            between_eyes = np.linalg.norm(truth[0] - truth[1])
            errors.append(round(float(np.linalg.norm(points - truth, axis=1).mean() / between_eyes), 4))
    return errors
