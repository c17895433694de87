"""Stages: failures stay with their request, one batch serves many requests."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import ImageError, ServingError, UsageError
from lnlattennet.serving.triton.python_models._stages import (
    Arrays,
    each,
    forget_frames,
    in_batches,
    routed,
    run_stages,
    together,
)
from lnlattennet.serving.triton.python_models._steps import AnswerStep, EngineStep, FaceStep, finite_faces


def numbers(*values: float) -> Arrays:
    return {"x": np.array(values, np.float32)}


def doubled(arrays: Arrays) -> Arrays:
    if (arrays["x"] < 0).any():
        raise ValueError("negative")
    return {"x": arrays["x"] * 2}


def test_each_request_fails_alone() -> None:
    first, second, third = run_stages([each(doubled)], [numbers(1, 2), numbers(-1), numbers(3)])
    assert first["x"].tolist() == [2, 4]
    assert isinstance(second, ValueError)
    assert third["x"].tolist() == [6]


def test_a_batch_is_split_back_into_its_requests() -> None:
    sizes = []

    def counted(arrays: Arrays) -> Arrays:
        sizes.append(len(arrays["x"]))
        return doubled(arrays)

    answers = run_stages([together(counted)], [numbers(1, 2), numbers(3), numbers(4, 5, 6)])
    assert sizes == [6]
    assert [answer["x"].tolist() for answer in answers] == [[2, 4], [6], [8, 10, 12]]


def test_a_batch_that_fails_fails_for_all_of_it() -> None:
    answers = run_stages([together(doubled)], [numbers(1), numbers(-1)])
    assert [type(answer) for answer in answers] == [ValueError, ValueError]


def test_a_failed_request_skips_later_stages() -> None:
    answers = run_stages([each(doubled), together(doubled)], [numbers(-1), numbers(1), numbers(2)])
    assert isinstance(answers[0], ValueError)
    assert [answer["x"].tolist() for answer in answers[1:]] == [[4], [8]]


def test_a_failed_request_leaves_nothing_to_the_garbage_collector() -> None:
    """A traceback in a cycle would hold its images, however large, until the collector comes."""

    class Watched(np.ndarray[Any, Any]):
        pass

    def refused(arrays: Arrays) -> Arrays:
        try:
            return doubled(arrays)
        except ValueError as error:
            raise ImageError("image 0") from error

    def answer() -> weakref.ref[Watched]:
        image = np.full(1000, -1.0).view(Watched)
        outcomes = run_stages([routed({"it": [each(refused)]})], [("it", {"x": image})])
        assert isinstance(outcomes[0], ImageError)
        forget_frames(outcomes)
        return weakref.ref(image)

    gc.disable()
    try:
        assert answer()() is None
    finally:
        gc.enable()


def test_each_request_takes_its_own_route() -> None:
    def halved(arrays: Arrays) -> Arrays:
        return {"x": arrays["x"] / 2}

    stage = routed({"double": [each(doubled)], "halve": [together(halved)]})
    requests = [("halve", numbers(4)), ("double", numbers(-1)), ("halve", numbers(6)), ("none", numbers(1))]
    first, failed, third, lost = run_stages([stage], requests)
    assert (first["x"].tolist(), third["x"].tolist()) == ([2], [3])
    assert isinstance(failed, ValueError)
    assert isinstance(lost, UsageError)


@pytest.mark.parametrize(("rows", "sizes"), [(6, [4, 2]), (4, [4]), (1, [1])])
def test_a_step_is_called_with_at_most_its_largest_batch(rows: int, sizes: list[int]) -> None:
    seen = []

    def counted(arrays: Arrays) -> Arrays:
        seen.append(len(arrays["x"]))
        return doubled(arrays)

    answer = in_batches(counted, 4)(numbers(*range(rows)))
    assert seen == sizes
    assert answer["x"].tolist() == [2 * value for value in range(rows)]


@pytest.mark.parametrize("requests", [[], [numbers(-1)]])
def test_a_stage_without_requests_does_nothing(requests: list[Arrays]) -> None:
    assert len(run_stages([each(doubled), together(doubled)], requests)) == len(requests)


def test_the_steps_give_every_public_output(bundle_path: Path, images: list[bytes]) -> None:
    bundle = Bundle.load(bundle_path)
    manifest = bundle.manifest
    stages = [
        each(FaceStep(manifest.preprocessing)),
        together(EngineStep(bundle.runner())),
        each(AnswerStep(manifest.class_names, manifest.grid**2)),
    ]
    request = {"image": np.array([[image] for image in images], np.object_)}
    (answer,) = run_stages(stages, [request])
    batch, classes, regions = len(images), len(manifest.class_names), manifest.network["grid"] ** 2
    assert {name: (array.dtype.kind, array.shape) for name, array in answer.items()} == {
        "label": ("O", (batch, 1)),
        "probabilities": ("f", (batch, classes)),
        "logits": ("f", (batch, classes)),
        "region_weights": ("f", (batch, regions)),
        "region_affinity": ("f", (batch, regions, regions)),
        "face_box": ("f", (batch, 4)),
        "face_found": ("b", (batch, 1)),
        "face_score": ("f", (batch, 1)),
        "face_landmarks": ("f", (batch, 5, 2)),
        "status": ("O", (batch, 1)),
    }
    names = [manifest.class_names[index] for index in answer["logits"].argmax(axis=1)]
    assert [label.decode() for label in answer["label"][:, 0]] == names


def test_a_damaged_image_is_named_by_its_place(bundle_path: Path, images: list[bytes]) -> None:
    step = FaceStep(Bundle.load(bundle_path).manifest.preprocessing)
    with pytest.raises(ImageError, match="image 2 of the batch"):
        step({"image": np.array([[images[0]], [images[1]], [b""]], np.object_)})


def test_outputs_that_break_a_rule_are_not_answered(bundle_path: Path) -> None:
    manifest = Bundle.load(bundle_path).manifest
    regions = manifest.network["grid"] ** 2
    with pytest.raises(ServingError, match="region_weights"):
        AnswerStep(manifest.class_names, regions)(
            {
                "logits": np.zeros((1, len(manifest.class_names)), np.float32),
                "region_weights": np.full((1, regions), 2 / regions, np.float32),
                "region_affinity": np.full((1, regions, regions), 1 / regions, np.float32),
            }
        )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_request_with_faces_that_are_not_finite_fails_alone(value: float) -> None:
    good = {"face": np.zeros((2, 3, 4, 4), np.float32)}
    bad = {"face": np.zeros((2, 3, 4, 4), np.float32)}
    bad["face"][1, 2, 0, 3] = value
    answers = run_stages([each(finite_faces), together(lambda arrays: arrays)], [good, bad, good])
    assert isinstance(answers[1], ImageError)
    assert "face 1 holds numbers that are not finite" in str(answers[1])
    assert [len(answer["face"]) for answer in answers if not isinstance(answer, Exception)] == [2, 2]


def test_a_process_of_a_python_model_imports_only_what_it_needs() -> None:
    """Each instance is a process: what it imports costs time at every start, and memory for good."""
    heavy = ("pydantic", "onnx", "openvino", "torch", "importlib.metadata", "packaging", "typer", "rich")
    program = (
        "import sys\n"
        "import lnlattennet.serving.triton.python_models._pipeline, lnlattennet.runtimes._openvino\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
