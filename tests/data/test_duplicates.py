"""Copies of validation and test images are left out of training, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lnlattennet.data import FaceData
from lnlattennet.data._duplicates import image_digest, without_duplicates
from lnlattennet.data._protocols import partitions
from lnlattennet.data._records import Face
from lnlattennet.errors import DataError
from lnlattennet.images._decode import DecodedImage

# One number is one image; class 0 and class 1 in turn.
SPLITS = {"train": [1, 2, 3, 4, 4, 5, 6, 7], "val": [3, 9, 10, 11], "test": [4, 5, 20, 21]}


def opened(splits: dict[str, list[int]]) -> FaceData:
    shades = {f"{split}/{index}": shade for split, row in splits.items() for index, shade in enumerate(row)}
    faces = tuple(Face(name, int(name[-1]) % 2, name.partition("/")[0]) for name in shades)
    return FaceData(
        "folder",
        Path("faces"),
        ("a", "b"),
        faces,
        lambda face, enough: DecodedImage(np.full((4, 4, 3), shades[face.name], np.uint8), 4, 4),
    )


@pytest.mark.parametrize("workers", [1, 3])
def test_training_loses_what_is_judged(workers: int) -> None:
    data = opened(SPLITS)
    [partition] = partitions(data, None, 0)
    done: list[int] = []
    reduced = without_duplicates(data, partition, workers, done.append)
    kept = [data.faces[index].name for index in reduced.splits["train"]]
    assert kept == ["train/0", "train/1", "train/6", "train/7"]
    for split in ("val", "test"):
        np.testing.assert_array_equal(reduced.splits[split], partition.splits[split])
    assert reduced.notes[-1].startswith("4 of 8 training images were left out")
    assert sum(done) == len(data)


def test_training_loses_what_others_judge() -> None:
    """Two of the images have no label in this data set."""
    whole = opened(SPLITS | {"test": [4, 5, 20, 21, 1, 30]})
    data = replace(whole, faces=whole.faces[:-2], undecided=whole.faces[-2:])
    [partition] = partitions(data, None, 0)
    reduced = without_duplicates(data, partition)
    kept = [data.faces[index].name for index in reduced.splits["train"]]
    assert kept == ["train/1", "train/6", "train/7"]
    assert reduced.notes[-1].startswith("5 of 8 training images were left out")


def test_a_class_that_would_vanish_is_named() -> None:
    data = opened({"train": [1, 2, 3, 4], "val": [1, 3], "test": [8, 9]})
    [partition] = partitions(data, None, 0)
    with pytest.raises(DataError, match="class 'a' of faces has no face in training"):
        without_duplicates(data, partition)


def test_digests_tell_shapes_apart() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert image_digest(image) == image_digest(image.copy())
    assert image_digest(image) != image_digest(image.reshape(4, 2, 3))
    turned = np.ascontiguousarray(image[:, ::-1])
    assert image_digest(image[:, ::-1]) == image_digest(turned) != image_digest(image)
