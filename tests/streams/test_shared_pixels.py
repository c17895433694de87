"""Pixels of frames on their way to another process."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lnlattennet.streams._answers import Task
from lnlattennet.streams._frame import Frame
from lnlattennet.streams._shared_pixels import SentTask, SharedPixels

_received: list[SharedPixels] = []


def image(seed: int, height: int = 4, width: int = 6) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def tasks(*images: NDArray[np.uint8] | Path | str) -> list[Task]:
    return [Task(Frame("film.mp4", index, 0.0, image)) for index, image in enumerate(images)]


def assert_same(found: list[Task], sent: list[Task]) -> None:
    assert [task.frame.index for task in found] == [task.frame.index for task in sent]
    for one, other in zip(found, sent, strict=True):
        assert isinstance(one.frame.image, np.ndarray)
        assert isinstance(other.frame.image, np.ndarray)
        np.testing.assert_array_equal(one.frame.image, other.frame.image)


def remember(pixels: SharedPixels) -> None:
    _received.append(pixels)


def receive(sent: list[SentTask]) -> list[Task]:
    return _received[0].receive(sent)


def test_another_process_gets_the_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    # The other process has the path of this one, and finds the functions of this file by it.
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    batch = tasks(image(1), image(2))
    pixels = SharedPixels.for_tasks(batch, batches=2, batch=2)
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(1, context, initializer=remember, initargs=(pixels,)) as pool:
        for turn in range(3):
            batch = tasks(image(turn), image(turn + 10))
            sent = pixels.send(batch)
            assert all(item.start is not None for item in sent)
            assert_same(pool.submit(receive, sent).result(), batch)


def test_batches_in_flight_stay_apart() -> None:
    batches = [tasks(image(seed), image(seed + 10)) for seed in range(3)]
    pixels = SharedPixels.for_tasks(batches[0], batches=3, batch=2)
    sent = [pixels.send(batch) for batch in batches]
    for one, batch in zip(sent, batches, strict=True):
        assert_same(pixels.receive(one), batch)


def test_turned_pixels_and_those_of_another_size_arrive() -> None:
    turned, large = np.rot90(image(1)), image(2, 9, 9)
    batch = tasks(turned, large, image(3))
    pixels = SharedPixels.for_tasks(tasks(turned), batches=1, batch=2)
    sent = pixels.send(batch)
    assert [item.start is None for item in sent] == [False, True, False]
    assert_same(pixels.receive(sent), batch)


def test_what_has_no_pixels_is_sent_as_it_is() -> None:
    batch = tasks(Path("face.jpg"), "the frame is damaged")
    pixels = SharedPixels.for_tasks(batch, batches=2, batch=2)
    assert [task.frame.image for task in pixels.receive(pixels.send(batch))] == [
        Path("face.jpg"),
        "the frame is damaged",
    ]
