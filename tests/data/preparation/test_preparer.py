"""Faces of data sets are those that a server would crop; each is counted, and searched for once."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data as samples

from lnlattennet.data import load_dataset, load_prepared
from lnlattennet.data.preparation import _known_faces
from lnlattennet.data.preparation._known_faces import KnownFaces
from lnlattennet.data.preparation._preparer import FacePreparer, PreparationReport
from lnlattennet.images._face_crop import FaceCropper
from lnlattennet.images.finders._base import FoundFace
from lnlattennet.images.finders._registry import FINDERS
from lnlattennet.model._preprocessing import Preprocessing, center_square
from tests.data.preparation.photographs import build_jaffe, face, photograph, write
from tests.data.trees import write_shard

RECIPE = Preprocessing(size=48)
astronaut: Callable[[], NDArray[np.uint8]] = samples.astronaut
FOUND = [FoundFace((1.5, 2.0, 30.0, 31.0), 0.75, ((3.0, 4.5),) * 5), FoundFace((0.0, 0.0, 9.0, 9.0), 0.5)]


@pytest.mark.parametrize("finder", FINDERS)
def test_a_photographs_face_is_the_servers(finder: str) -> None:
    recipe = replace(RECIPE, face_finder=finder)
    prepare, cropper = FacePreparer(recipe, "whole"), FaceCropper(recipe)
    for seeds, expected in (((1,), "found"), ((2, 3, 4), "several"), ((), "none")):
        image = photograph(*seeds)
        made, outcome = prepare(image)
        assert outcome == expected
        np.testing.assert_array_equal(made, cropper(image).face)
    assert cropper(photograph(2, 3, 4)).box[0] < 160


@pytest.mark.parametrize("finder", FINDERS)
def test_a_large_photographs_face_is_the_servers(finder: str, tmp_path: Path) -> None:
    """Both decode a JPEG file with just the detail that the face needs."""
    recipe = replace(RECIPE, face_finder=finder)
    stream = io.BytesIO()
    Image.fromarray(photograph(1)).resize((1600, 1200)).save(stream, "JPEG")
    large = stream.getvalue()
    write_shard(tmp_path / "shards/0.tar", {"1": (large, "a"), "2": (large, "b")}, ".jpg")
    for name in ("folders/a/1.jpg", "folders/b/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(large)
    crop = FaceCropper(recipe)(large)
    assert crop.image_scale == (2 if finder == "haar" else 1)
    for source in ("folders", "shards"):
        faces, _ = load_prepared(load_dataset(tmp_path / source, faces="crop"), recipe)
        np.testing.assert_array_equal(faces, [crop.face, crop.face], source)


def test_an_aligned_face_is_the_servers_whatever_was_found_before() -> None:
    """Without alignment landmarks are placed with less care, and the cache must not hand these on."""
    turn = cv2.getRotationMatrix2D((224, 115), 25, 1)
    image = np.asarray(cv2.warpAffine(astronaut(), turn, (512, 512)), np.uint8)
    recipe = replace(RECIPE, face_finder="libfacedetection")
    aligned = replace(recipe, face_alignment="five-points")
    FacePreparer(recipe, "whole")(image)
    made, _ = FacePreparer(aligned, "whole")(image)
    np.testing.assert_array_equal(made, FaceCropper(aligned)(image).face)


def test_face_crops_are_taken_as_they_are() -> None:
    image = face(5)
    made, outcome = FacePreparer(RECIPE, "crops")(image)
    assert outcome == "as_is"
    np.testing.assert_array_equal(made, RECIPE.crop(image, center_square(130, 130)))


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (3, 400)])
def test_an_image_of_any_size_gives_a_face(size: tuple[int, int]) -> None:
    made, outcome = FacePreparer(RECIPE, "whole")(np.full((*size, 3), 90, np.uint8))
    assert (made.shape, outcome) == ((48, 48, 3), "none")


def test_half_crops_half_photographs(tmp_path: Path) -> None:
    """What fills its image is taken as it is; the others are cropped; nothing is left out."""
    images = {"a/crop": face(1), "a/photo": photograph(1), "b/crop": face(2), "b/photo": photograph(2, 3)}
    for name, image in (images | {"b/none": photograph()}).items():
        write(tmp_path / f"{name}.png", image)
    data = load_dataset(tmp_path)
    report = PreparationReport()
    faces, labels = load_prepared(data, RECIPE, report=report)
    assert labels.tolist() == [0, 0, 1, 1, 1]
    assert report.to_dict() == {"faces": "mixed", "as_is": 2, "found": 1, "several": 1, "none": 1}
    assert report.without_face == ["b/none.png"]
    cropper = FaceCropper(RECIPE)
    np.testing.assert_array_equal(faces[0], RECIPE.crop(images["a/crop"], center_square(130, 130)))
    np.testing.assert_array_equal(faces[1], cropper(images["a/photo"]).face)
    found, crops, missing = report.notes()
    assert found.startswith("faces were found in 2 of 3 images, several in 1")
    assert crops.startswith("2 images were taken as they are")
    assert missing == "no face was found in 1 images, whose center square counts: b/none.png"


@pytest.mark.parametrize(("option", "how"), [("auto", "cropped"), ("crop", "cropped"), ("as-is", "as-is")])
def test_a_format_of_photographs_is_searched_unless_told_otherwise(
    option: str, how: str, tmp_path: Path
) -> None:
    build_jaffe(tmp_path)
    report = PreparationReport()
    data = load_dataset(tmp_path, faces=option)  # type: ignore[arg-type]
    faces, _ = load_prepared(data, RECIPE, 2, report)
    assert report.how == how
    assert report.outcomes.total() == len(faces) == 14
    assert report.outcomes["none"] == (how == "cropped")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_known_faces, "cache_folder", lambda name: tmp_path / name)
    return tmp_path / "faces"


def refuse() -> list[FoundFace]:
    raise AssertionError("searched again")


def image_of(shade: int) -> NDArray[np.uint8]:
    return np.full((5, 4, 3), shade, np.uint8)


def test_an_image_is_searched_once(cache: Path) -> None:
    KnownFaces("haar", "4.11").get(image_of(1), lambda: FOUND)
    known = KnownFaces("haar", "4.11")
    assert known.get(image_of(1), refuse) == FOUND
    assert known.get(image_of(2), list) == []
    assert known.get(image_of(2), refuse) == []
    for other in (KnownFaces("haar", "4.12"), KnownFaces("other", "4.11")):
        assert other.get(image_of(1), list) == []
    assert len(list(cache.iterdir())) == 3


def damage_file(path: Path) -> None:
    path.write_bytes(b"damaged" * 1000)


def damage_entries(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE found SET faces = '[[1'")


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize("damage", [damage_file, damage_entries, cut_off])
def test_what_is_damaged_is_made_again(damage: Callable[[Path], None], cache: Path) -> None:
    KnownFaces("haar", "1").get(image_of(1), list)
    damage(next(cache.iterdir()))
    known = KnownFaces("haar", "1")
    assert known.get(image_of(1), lambda: FOUND) == FOUND
    assert known.get(image_of(1), refuse) == FOUND
    assert KnownFaces("haar", "1").get(image_of(1), refuse) == FOUND


def test_without_a_place_to_write_every_image_is_searched(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.write_text("a file where the folder should be")
    known = KnownFaces("haar", "1")
    assert known.get(image_of(1), lambda: FOUND) == FOUND
    assert known.get(image_of(1), list) == []
    [warning] = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "cannot be used" in warning


def test_many_write_at_once(cache: Path) -> None:
    caches = [KnownFaces("haar", "1") for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(known.get, image_of(shade), list) for shade in range(40) for known in caches]
    assert all(job.result() == [] for job in jobs)
    assert all(caches[0].get(image_of(shade), refuse) == [] for shade in range(40))
