"""libfacedetection's network run by ONNX Runtime: an image as it is to the library's list of faces."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from lnlattennet._onnxruntime import import_onnxruntime

INPUT = "image"
"""Input of the graph: uint8 [1, H, W, 3], RGB; H and W are multiples of the largest stride."""

STRIDES = (8, 16, 32)
"""Pixels between the cells of each output, float32 [1, 16, H / stride, W / stride].

A cell has the logits of its score and of its objectness, the center and the logarithmic size of a box, and 5
landmarks; all in strides, and places from the cell's first pixel.
"""

MIN_SCORE = 0.5
"""Score from which a face counts; the library itself gives all from 0.2, most of which are none."""

_MOST_CELLS, _LARGEST_OVERLAP = 1000, 0.45
"""The library's limits: cells that are looked at, and the area two faces share over that of both together."""


class Network:
    """The network of a loaded library; may be used by many threads.

    Raises:
        ValueError: the library has no weights, or they are not of this network.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        # It needs onnx, which takes long to import, where a face is searched with this finder only.
        from lnlattennet.images.finders._yunet_graph import network

        ort = import_onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = ort.InferenceSession(network(library), options, ["CPUExecutionProvider"])

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Search an image as it is.

        Returns:
            Faces from ``MIN_SCORE``, surest first, in the library's whole numbers [faces, 15]: score in
            percent, left, top, width, height, and 5 landmarks.
        """
        height, width = image.shape[:2]
        padded = (-(-side // STRIDES[-1]) * STRIDES[-1] for side in (height, width))
        canvas = np.zeros((1, *padded, 3), np.uint8)
        canvas[0, :height, :width] = image
        levels = self._session.run(None, {INPUT: canvas})
        faces = np.concatenate([_sure_cells(*pair) for pair in zip(STRIDES, levels, strict=True)])
        faces = faces[np.argsort(-faces[:, 0], kind="stable")][:_MOST_CELLS]
        kept = _strongest(faces[:, 1:5])
        faces[:, 0] *= 100
        faces[:, 3:5] -= faces[:, 1:3]
        rows: NDArray[np.int16] = faces[kept].astype(np.int16)
        return rows


def _sure_cells(stride: int, level: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return score, corners of the box and landmarks [cells, 15] of the cells that see a face, in pixels."""
    logits = np.clip(level[0, :2], -80, 80)
    score, objectness = 1 / (1 + np.exp(-logits))
    scores = np.sqrt(score * objectness)
    rows, columns = np.nonzero(scores >= MIN_SCORE)
    if not len(rows):
        return np.empty((0, 15), np.float32)
    places = stride * np.stack([columns, rows]).astype(np.float32)
    cells = level[0, :, rows, columns].T
    center = cells[2:4] * stride + places
    half = np.exp(cells[4:6]) * stride / 2
    landmarks = cells[6:].reshape(5, 2, -1) * stride + places
    found = [scores[None, rows, columns], center - half, center + half, landmarks.reshape(10, -1)]
    faces: NDArray[np.float32] = np.concatenate(found).T
    return faces


def _strongest(boxes: NDArray[np.float32]) -> list[int]:
    """Return the indices of boxes [n, 4], surest first, that overlap none of those kept before them."""
    kept, left = list[int](), np.arange(len(boxes))
    while left.size:
        best = boxes[left[0]]
        kept.append(int(left[0]))
        left = left[1:]
        left = left[_overlaps(best, boxes[left]) <= _LARGEST_OVERLAP]
    return kept


def _overlaps(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the area that each of ``boxes`` shares with ``box``, over that of both together."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    overlaps: NDArray[np.float32] = shared / ((box[2:] - box[:2]).prod() + areas - shared)
    return overlaps
