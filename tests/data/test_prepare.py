"""Prepared faces: the recipe's pixels, in order, a bounded number at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lnlattennet.data import FaceData, load_dataset, load_prepared, prepared_faces
from lnlattennet.data._streaming import bounded_map
from lnlattennet.errors import ImageError
from lnlattennet.model._preprocessing import Preprocessing
from tests.data import trees

RECIPE = Preprocessing(size=24)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> FaceData:
    """150 faces: two whole chunks and a part."""
    folder = tmp_path_factory.mktemp("many")
    trees.build_rafdb(folder)
    data = load_dataset(folder, "rafdb-original")
    return data.select([index % len(data) for index in range(150)])


@pytest.mark.parametrize("workers", [1, 3])
def test_faces_are_the_recipes_center_squares_in_order(many: FaceData, workers: int) -> None:
    chunks = list(prepared_faces(many, RECIPE, workers))
    assert [len(labels) for _, labels in chunks] == [64, 64, 22]
    faces = np.concatenate([faces for faces, _ in chunks])
    labels = np.concatenate([labels for _, labels in chunks])
    assert (str(faces.dtype), str(labels.dtype)) == ("uint8", "int64")
    for index, face in enumerate(many.faces):
        with Image.open(many.root / face.name) as image:
            square = image.convert("RGB").resize((24, 24), Image.Resampling.BILINEAR, box=(4, 0, 44, 40))
        np.testing.assert_array_equal(faces[index], np.asarray(square))
        assert labels[index] == face.label
    loaded = load_prepared(many, RECIPE, workers)
    np.testing.assert_array_equal(loaded[0], faces)
    np.testing.assert_array_equal(loaded[1], labels)


def test_no_faces_make_no_chunks(many: FaceData) -> None:
    assert not list(prepared_faces(many.select([]), RECIPE))
    faces, labels = load_prepared(many.select([]), RECIPE)
    assert faces.shape == (0, 24, 24, 3)
    assert labels.shape == (0,)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_image_is_named(tmp_path: Path, workers: int) -> None:
    trees.build_folder(tmp_path)
    (tmp_path / "val" / "grin" / "1.png").write_bytes(b"damaged")
    with pytest.raises(ImageError, match=r"val/grin/1\.png"):
        load_prepared(load_dataset(tmp_path), RECIPE, workers)


def test_one_square_for_every_size(many: FaceData) -> None:
    faces, _ = load_prepared(replace(many, faces=many.faces[:1]), Preprocessing(size=112))
    assert faces.shape == (1, 112, 112, 3)


@pytest.mark.parametrize("workers", [2, 5])
def test_a_slow_consumer_holds_the_workers_back(workers: int) -> None:
    taken = count()
    started = []

    def endless() -> Iterator[int]:
        for item in taken:
            started.append(item)
            yield item

    results = bounded_map(lambda item: item * item, endless(), workers)
    assert list(islice(results, 10)) == [item * item for item in range(10)]
    time.sleep(0.05)
    assert len(started) <= 10 + 2 * workers
    threads = threading.active_count()
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() < threads
