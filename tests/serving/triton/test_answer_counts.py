"""Answers of the served models are counted on Triton's metrics address, and probes are not."""

from __future__ import annotations

import re
import time
import urllib.request

import numpy as np
import pytest

from lnlattennet.images._blank import blank_png
from lnlattennet.serving import Client
from lnlattennet.serving.supervision._known_face import known_face
from lnlattennet.serving.triton._health import probe_model
from lnlattennet.serving.triton._model_names import PUBLIC_MODELS
from lnlattennet.serving.triton._process import TritonProcess
from lnlattennet.serving.triton.python_models._answer_counts import counted

PROBABILITIES = np.array([[1, 0, 0, 0], [0.25] * 4], np.float32)
LABELS = np.array([[b"sad"], [b"glad"]], np.object_)


def test_the_largest_face_of_each_image() -> None:
    found = np.array([[True], [False]])
    counts = counted([{"label": LABELS, "probabilities": PROBABILITIES, "face_found": found}])
    assert counts["lnlattennet_answers_total", "sad"] == 1
    assert counts["lnlattennet_answers_total", "glad"] == 1
    assert counts["lnlattennet_entropy_sum", ""] == pytest.approx(np.log(4))
    entropies = [counts["lnlattennet_entropy_bucket", bound] for bound in ("0.1", "1.2", "1.4", "+Inf")]
    assert entropies == [1, 1, 2, 2]
    faces = [counts["lnlattennet_faces_per_image_bucket", bound] for bound in ("0", "1", "+Inf")]
    assert faces == [1, 2, 2]
    assert counts["lnlattennet_faces_per_image_sum", ""] == 1


def test_every_face_of_an_image() -> None:
    names = {"label": LABELS, "probabilities": PROBABILITIES, "face_found": np.array([[True], [True]])}
    counts = counted([{f"every_{name}": array[None] for name, array in names.items()}])
    assert counts["lnlattennet_entropy_count", ""] == 2
    faces = [counts["lnlattennet_faces_per_image_bucket", bound] for bound in ("0", "1", "2", "+Inf")]
    assert faces == [0, 0, 1, 1]


def test_faces_without_an_answer() -> None:
    counts = counted([{"face_found": np.array([[True]])}])
    assert counts["lnlattennet_faces_per_image_count", ""] == 1
    assert not any(name.startswith("lnlattennet_entropy") for name, _ in counts)


def read(server: TritonProcess) -> dict[tuple[str, str], float]:
    with urllib.request.urlopen(server.endpoints.metrics, timeout=30) as answer:  # noqa: S310
        text = answer.read().decode()
    # NAME{class="sad",model="expression_pipeline"} 3
    found = re.findall(
        r'^(lnlattennet_\w+){(?:(?:class|le)="([^"]*)",)?model="\w+"} (\S+)$', text, re.MULTILINE
    )
    return {(name, label): float(value) for name, label, value in found}


def test_a_server_counts(server: TritonProcess) -> None:
    def count(name: str, value: str = "") -> float:
        return read(server)[name, value]

    images = "lnlattennet_faces_per_image_count"
    # What other tests have asked.
    time.sleep(2)
    before = read(server)
    with Client(server.endpoints.grpc) as client:
        labels = [client.predict(known_face()).label for _ in range(8)]
        client.predict([blank_png()] * 2)
        client.predict(known_face(), max_faces=1)
        for model in PUBLIC_MODELS:
            probe_model(server.endpoints.grpc, model, known_face())
        client.predict(known_face())
    deadline = time.monotonic() + 60
    while count(images) < before[images, ""] + 12:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    raised = {series: value - before[series] for series, value in read(server).items()}
    assert raised[images, ""] == 12
    assert raised["lnlattennet_faces_per_image_bucket", "0"] == 2
    assert raised["lnlattennet_answers_total", labels[0]] >= 10
    assert raised["lnlattennet_entropy_count", ""] == 12
    assert raised["lnlattennet_entropy_bucket", "+Inf"] == 12
