"""Streams: raw probabilities, and the same smoothed over time, each stream for itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnlattennet.errors import ImageError, UsageError
from lnlattennet.images._blank import blank_png
from lnlattennet.serving.client._client import Client, Stream
from lnlattennet.serving.client._session import Session
from lnlattennet.serving.client._stream import StreamSession
from lnlattennet.serving.triton._process import TritonProcess
from lnlattennet.serving.triton.python_models._smoothing import SmoothingStep
from tests.serving.client.test_client import jpeg

pytest.importorskip("tritonclient")

TIME_CONSTANT = 0.5


@pytest.fixture(scope="module", params=["grpc", "http"])
def client(request: pytest.FixtureRequest, server: TritonProcess) -> Iterator[Client]:
    with Client(getattr(server.endpoints, request.param)) as connected:
        yield connected


def shares(probabilities: dict[str, float]) -> NDArray[np.float64]:
    return np.array(list(probabilities.values()))


def expected(raw: list[NDArray[np.float64]], times: list[float]) -> NDArray[np.float64]:
    smoothed = raw[0]
    for index in range(1, len(raw)):
        passed = times[index] - times[index - 1]
        smoothed = smoothed + (1 - np.exp(-passed / TIME_CONSTANT)) * (raw[index] - smoothed)
    return smoothed


def test_two_streams_are_smoothed_apart(client: Client) -> None:
    """Interleaved, with other images at other times."""
    times = {0: [0.0, 0.1, 0.4, 2.0], 1: [70.0, 70.5, 70.5, 71.0]}
    raw: dict[int, list[NDArray[np.float64]]] = {0: [], 1: []}
    with client.stream() as first, client.stream() as second:
        for frame in range(4):
            for number, stream in enumerate((first, second)):
                answer = stream.predict(jpeg(20 * frame + 100 * number), times[number][frame])
                assert answer.raw.face_found
                raw[number].append(shares(answer.raw.probabilities))
                smoothed = expected(raw[number], times[number][: frame + 1])
                np.testing.assert_allclose(shares(answer.probabilities), smoothed, atol=1e-6)
                assert answer.probabilities[answer.label] == max(answer.probabilities.values())
    assert np.abs(raw[0][1] - raw[0][0]).max() > 1e-3
    assert np.abs(raw[0][0] - raw[1][0]).max() > 1e-3


def test_time_passes_by_itself(client: Client) -> None:
    with client.stream() as stream:
        first = stream.predict(jpeg())
        second = stream.predict(jpeg(200))
    ends = shares(first.raw.probabilities), shares(second.raw.probabilities)
    weight = (shares(second.probabilities) - ends[0]) / (ends[1] - ends[0])
    assert 0 < np.median(weight) < 1


def test_an_image_without_a_face_changes_nothing(client: Client) -> None:
    with client.stream() as stream:
        first = stream.predict(jpeg(), 0.0)
        second = stream.predict(blank_png(), 5.0)
    assert second.raw.status == "no_face"
    assert second.probabilities == first.probabilities
    assert second.raw.probabilities != second.probabilities


@pytest.mark.parametrize("answered_before", [0, 1])
def test_a_refused_image_does_not_end_a_stream(client: Client, answered_before: int) -> None:
    with client.stream() as stream:
        for index in range(answered_before):
            stream.predict(jpeg(), float(index))
        with pytest.raises(ImageError, match=r"^an image must be a JPEG or PNG file, got GIF"):
            stream.predict(b"GIF89a", 4.0)
        assert stream.predict(jpeg(200), 5.0).raw.face_found


@pytest.mark.parametrize("moment", [0.5, float("nan"), float("-inf"), float("inf")])
def test_time_does_not_go_back(client: Client, moment: float) -> None:
    with client.stream() as stream:
        stream.predict(jpeg(), 1.0)
        with pytest.raises(UsageError, match=rf"does not go back within a stream, got {moment} after 1\.0"):
            stream.predict(jpeg(), moment)


@pytest.mark.parametrize("moment", ["soon", [1.0], 10**400])
def test_the_time_of_an_image_is_a_number(moment: Any) -> None:
    stream = StreamSession(Session("expression", 10.0, 0, shared_memory=False))
    with pytest.raises(UsageError, match=r"must be a number of seconds .*, got ['\[1]"):
        next(stream.predict(blank_png(), moment))


def test_a_closed_stream_takes_no_image(client: Client) -> None:
    streams: list[Stream] = [client.stream(), client.stream()]
    streams[0].predict(jpeg())
    for stream in streams:
        stream.close()
        stream.close()
        with pytest.raises(UsageError, match="this stream is closed"):
            stream.predict(jpeg())


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def frame(stream: int, start: bool = False, end: bool = False) -> dict[str, NDArray[np.generic]]:
    return {
        "probabilities": np.array([[0.25, 0.75]], np.float32),
        "face_found": np.array([[True]]),
        "time": np.array([[1.0]]),
        "START": np.array([[start]]),
        "END": np.array([[end]]),
        "CORRID": np.array([[stream]], np.uint64),
    }


def test_the_state_of_a_stream_lives_until_its_end_or_until_it_is_idle() -> None:
    clock = Clock()
    smooth = SmoothingStep(["a", "b"], TIME_CONSTANT, idle=30, clock=clock)
    for stream in (1, 2):
        assert smooth(frame(stream, start=True))["smoothed_label"].tolist() == [[b"b"]]
    smooth(frame(1, end=True))
    with pytest.raises(UsageError, match="stream 1 must specify the START flag again"):
        smooth(frame(1))
    smooth(frame(2))
    clock.now = 61
    smooth(frame(3, start=True))
    with pytest.raises(UsageError, match="stream 2 must specify the START flag again"):
        smooth(frame(2))


def test_ten_thousand_images_do_not_drift() -> None:
    smooth = SmoothingStep(["a", "b", "c"], TIME_CONSTANT, idle=30)
    generator, answer = np.random.default_rng(0), np.zeros((1, 3))
    for index in range(10_000):
        raw = generator.dirichlet(np.ones(3)).astype(np.float32)[None]
        changes = {"probabilities": raw, "time": np.array([[index / 25]])}
        answer = smooth(frame(1, start=index == 0) | changes)["smoothed_probabilities"]
    assert abs(answer.sum() - 1) < 1e-6
