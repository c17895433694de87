"""Tensors that say where faces were cropped: written by the served models, read by the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.images._face_crop import FaceLocation

FACE_TENSORS = ("face_box", "face_score", "face_landmarks", "status")
"""What ``face_locations`` reads. ``face_found`` follows from the status; the models answer it for clients."""

_LANDMARKS = 5


def face_tensors(faces: Sequence[FaceLocation]) -> dict[str, NDArray[Any]]:
    """Return box [F, 4], score [F, 1] and landmarks [F, 5, 2], float32, status object and found bool [F, 1].

    Landmarks of a face without any are all 0, which JSON can say; NaN it cannot.
    """
    landmarks = np.zeros((len(faces), _LANDMARKS, 2), np.float32)
    for row, face in zip(landmarks, faces, strict=True):
        if face.landmarks is not None:
            row[:] = face.landmarks
    return {
        "face_box": np.array([face.box for face in faces], np.float32),
        "face_score": np.array([[face.score] for face in faces], np.float32),
        "face_landmarks": landmarks,
        "status": np.array([[face.status.encode()] for face in faces], np.object_),
        "face_found": np.array([[face.found] for face in faces], np.bool_),
    }


def face_locations(tensors: Mapping[str, NDArray[Any]]) -> list[FaceLocation]:
    """Return what ``face_tensors`` was given, in float32."""
    columns = (tensors[name] for name in FACE_TENSORS)
    return [
        FaceLocation(
            box=tuple(box.tolist()),
            score=float(score[0]),
            landmarks=tuple(map(tuple, landmarks.tolist())) if landmarks.any() else None,
            status=status[0].decode(),
        )
        for box, score, landmarks, status in zip(*columns, strict=True)
    ]
