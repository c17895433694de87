"""Copies of images: the same pixels under several names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lnlattennet.data._protocols import Partition, check_classes
from lnlattennet.data._records import Face, FaceData
from lnlattennet.data._streaming import bounded_map

_CHUNK = 64


def image_digest(image: NDArray[np.uint8]) -> bytes:
    """Return 16 bytes that only images [H, W, 3] of the very same pixels share."""
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


def without_duplicates(
    data: FaceData,
    partition: Partition,
    workers: int = 1,
    progress: Callable[[int], object] = lambda count: None,
) -> Partition:
    """Leave images out of training that validation or test also have, and say in a note how many.

    A network recognizes an image that it was trained on, which flatters its accuracy. Validation and test
    keep all their faces, so that figures stay comparable. Copies within training stay too. Images that have
    no label there count as well: FER2013 has labels for those on which FERPlus's voters disagreed.

    Args:
        data: the data set; every image is read.
        partition: partition of ``data``.
        workers: threads that read.
        progress: is called with the number of images read since the last call.

    Raises:
        ImageError: an image cannot be read; it names the face.
        DataError: a class would be missing in training.
    """
    digests: list[bytes] = []
    faces = data.faces + data.undecided
    chunks = (faces[start : start + _CHUNK] for start in range(0, len(faces), _CHUNK))
    for read in bounded_map(partial(_digests, data), chunks, workers):
        digests += read
        progress(len(read))
    judged = set(digests[len(data) :])
    for split, indices in partition.splits.items():
        judged.update(digests[index] for index in indices if split != "train")
    train = partition.splits["train"]
    kept = np.array([index for index in train if digests[index] not in judged], np.int64)
    note = (
        f"{len(train) - len(kept):,} of {len(train):,} training images were left out: validation or test "
        "have the very same."
    )
    reduced = replace(partition, splits=partition.splits | {"train": kept}, notes=(*partition.notes, note))
    check_classes(data, reduced)
    return reduced


def _digests(data: FaceData, faces: Sequence[Face]) -> list[bytes]:
    return [image_digest(data.read(face)) for face in faces]
