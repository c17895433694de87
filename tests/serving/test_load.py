"""`lnlattennet.load` and `predict`: every form of an image, and refusals with a remedy."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

import lnlattennet
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import BundleError, ImageError, UsageError
from lnlattennet.serving._predictor import LocalPredictor

astronaut: Callable[[], NDArray[np.uint8]] = data.astronaut
portrait = astronaut()


@pytest.fixture(scope="module")
def model(bundle_path: Path) -> LocalPredictor:
    return lnlattennet.load(bundle_path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "face.png"
    Image.fromarray(portrait).save(file)
    return file


def test_every_form_of_an_image_gets_the_same_prediction(model: LocalPredictor, path: Path) -> None:
    encoded = path.read_bytes()
    expected = model.predict(portrait)
    assert expected.face_found
    with path.open("rb") as file, Image.open(path) as image:
        forms: list[Any] = [path, str(path), encoded, bytearray(encoded), io.BytesIO(encoded), file, image]
        assert [model.predict(form) for form in forms] == [expected] * len(forms)


def test_a_list_of_any_forms_gets_a_list(model: LocalPredictor, path: Path) -> None:
    mirrored = np.ascontiguousarray(portrait[:, ::-1])
    predictions = model.predict([path, mirrored, Image.fromarray(portrait)])
    assert [prediction.face_box for prediction in predictions] == [
        model.predict(image).face_box for image in (portrait, mirrored, portrait)
    ]
    assert model.predict((path,)) == [model.predict(path)]
    assert model.predict([]) == []


def test_a_prediction_is_drawn_on_its_image(model: LocalPredictor, path: Path, tmp_path: Path) -> None:
    prediction = model.predict(path)
    assert prediction.image is not None
    np.testing.assert_array_equal(prediction.image, portrait)
    prediction.save_overlay(tmp_path / "overlay.png")
    with Image.open(tmp_path / "overlay.png") as overlay:
        assert overlay.format == "PNG"
        np.testing.assert_array_equal(np.asarray(overlay), prediction.draw_overlay(portrait))
    with pytest.raises(UsageError, match=r"must end in .png, got .*overlay\.jpg"):
        prediction.save_overlay(tmp_path / "overlay.jpg")


def test_the_prediction_of_a_server_is_drawn_on_an_image_that_is_passed(
    model: LocalPredictor, tmp_path: Path
) -> None:
    served = dataclasses.replace(model.predict(portrait), image=None)
    with pytest.raises(UsageError, match="holds no image to draw on; pass image="):
        served.save_overlay(tmp_path / "overlay.png")
    served.save_overlay(tmp_path / "overlay.png", portrait)


def test_orientation_and_mode_of_a_pillow_image_are_applied(model: LocalPredictor) -> None:
    turned = Image.fromarray(portrait).transpose(Image.Transpose.ROTATE_270)
    turned.getexif()[0x0112] = 8
    assert model.predict(turned) == model.predict(portrait)
    gray = Image.fromarray(portrait).convert("L")
    assert model.predict(gray) == model.predict(np.asarray(gray.convert("RGB")))


def test_an_engine_and_threads_can_be_chosen(bundle_path: Path, model: LocalPredictor) -> None:
    other = lnlattennet.load(str(bundle_path), engine="openvino-fp32", threads=1).predict(portrait)
    np.testing.assert_allclose(other.logits, model.predict(portrait).logits, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty", r"is not a bundle: it has no manifest\.json; make one with export-engine"),
        ("missing", "is not a bundle: there is no such folder; make one with export-engine"),
        (
            "model.safetensors",
            r"if it is a checkpoint, export it first: export-engine -c .*\.safetensors",
        ),
    ],
)
def test_other_paths_than_a_bundle_are_refused(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(BundleError, match=message):
        lnlattennet.load(tmp_path / name)


def test_a_url_is_sent_to_the_client() -> None:
    with pytest.raises(BundleError, match=r"got the URL grpc://127.0.0.1:8001; lnlattennet.Client asks"):
        lnlattennet.load("grpc://127.0.0.1:8001")


def test_an_unknown_engine_is_refused(bundle_path: Path) -> None:
    with pytest.raises(BundleError, match="no engine 'warp'; it has: onnxruntime-fp32"):
        lnlattennet.load(bundle_path, engine="warp")


def test_a_bundle_that_was_changed_is_refused(bundle_copy: Path) -> None:
    with (bundle_copy / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match="was changed after the export"):
        lnlattennet.load(bundle_copy)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (portrait.astype(np.float32), r"float32 .*; if its .* image.round\(\).astype\('uint8'\)"),
        (portrait / 255, r"float64 .*; scale it to 0..255: \(image \* 255\)"),
        (portrait.astype(np.int64), r"int64 .*; if its .* image.astype\('uint8'\)"),
        (portrait.transpose(2, 0, 1), r"\[3, 512, 512\]; move the channels .*image.transpose\(1, 2, 0\)"),
        (portrait[..., 0], r"uint8 \[512, 512\]; repeat a gray channel: np.repeat"),
        (portrait[..., :1], r"uint8 \[512, 512, 1\]; repeat a gray channel: np.repeat"),
        (np.dstack([portrait, portrait[..., 0]]), r"512, 4\]; drop the alpha channel: image\[..., :3\]"),
        (portrait[None], r"\[1, 512, 512, 3\]; pass a batch as a list of images: list\(images\)"),
        (portrait[:0], r"\[0, 512, 3\]; it holds no pixels"),
        (portrait[0, 0], "must be a JPEG or PNG file, got "),
        (portrait[:15], "at least 16 pixels on each side, got 512 x 15"),
        (np.broadcast_to(np.uint8(0), (4001, 4000, 3)), "at most 16,000,000 pixels, got 4000 x 4001"),
        (b"", "got an empty file"),
        (b"some words", "must be a JPEG or PNG file, got text; convert it"),
        ("no-such-face.jpg", "there is no file no-such-face.jpg; check the path"),
        ("https://example.org/face.jpg", "got the URL https://example.org/face.jpg; download it first"),
        ("nul\0byte", "cannot read nul"),
        (io.StringIO("some words"), "must give bytes, got str; open it with mode 'rb'"),
        (None, "must be a path, .* got NoneType"),
        (7, "must be a path, .* got int"),
        (Image.new("F", (64, 64)), "pixels of mode F have no fixed range"),
        (Image.new("RGB", (8, 64)), "at least 16 pixels on each side, got 8 x 64"),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_other_objects_than_images_are_refused_with_a_remedy(
    image: Any, message: str, model: LocalPredictor
) -> None:
    with pytest.raises(ImageError, match=message):
        model.predict(image)
    with pytest.raises(ImageError, match="image 1 of the batch: "):
        model.predict([portrait, image])


def test_the_conversions_that_messages_name_work(model: LocalPredictor) -> None:
    expected, scaled, gray = model.predict(portrait), portrait / 255, portrait[..., 0]
    assert model.predict((scaled * 255).round().astype("uint8")) == expected
    assert model.predict(portrait.transpose(2, 0, 1).transpose(1, 2, 0)) == expected
    repeated = np.repeat(gray.reshape(*gray.shape[:2], 1), 3, axis=2)
    assert model.predict(repeated) == model.predict(np.dstack([gray] * 3))


def test_a_folder_is_refused(model: LocalPredictor, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is a folder; pass a list of its image files"):
        model.predict(tmp_path)


@pytest.mark.parametrize("change", [lambda file: file.close(), lambda file: None], ids=["closed", "write"])
def test_a_file_that_cannot_be_read_is_refused(
    change: Callable[[Any], None], model: LocalPredictor, tmp_path: Path
) -> None:
    with (tmp_path / "new.jpg").open("wb") as file:
        change(file)
        with pytest.raises(ImageError, match=r"cannot read the file object: .*; open it with mode 'rb'"):
            model.predict(file)


def test_a_closed_or_damaged_pillow_image_is_refused(model: LocalPredictor, path: Path) -> None:
    closed = Image.open(path)
    closed.close()
    damaged = Image.open(io.BytesIO(path.read_bytes()[:2000]))
    for image in (closed, damaged):
        with pytest.raises(ImageError, match=r"cannot read the Pillow image: .*; open it again"):
            model.predict(image)


def test_another_version_of_the_face_finder_is_told(
    bundle_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = Bundle.load(bundle_path)
    LocalPredictor(bundle)
    assert not caplog.messages
    preprocessing = dataclasses.replace(bundle.manifest.preprocessing, face_finder_version="0.1")
    manifest = bundle.manifest.model_copy(update={"preprocessing": preprocessing})
    LocalPredictor(dataclasses.replace(bundle, manifest=manifest))
    assert "trained with faces of haar 0.1" in caplog.text
