"""Cameras: one that goes away and comes back, and ones that are not there."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from lnlattennet.streams.sources._camera import camera_frames, is_camera, shown_address
from lnlattennet.streams.sources._selection import Selection
from tests.streams.cameras import camera
from tests.streams.films import images, write_film


def test_a_camera_that_comes_back_goes_on(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.ts", images(24))
    seen = []
    with camera(film) as address:
        frames = camera_frames(address, Selection())
        for frame in frames:
            seen.append(frame)
            if sum(isinstance(frame.image, str) for frame in seen) == 2:
                break
        frames.close()
    kinds = [isinstance(frame.image, str) for frame in seen]
    gap = kinds.index(True)
    assert seen[gap].image == "the camera went away: it ended the stream"
    assert any(not kind for kind in kinds[:gap])
    assert any(not kind for kind in kinds[gap + 1 :])
    numbers = [frame.index for frame in seen if frame.index is not None]
    times = [frame.time for frame in seen if frame.time is not None]
    assert numbers == sorted(set(numbers))
    assert times == sorted(times)
    image = next(frame.image for frame in seen if isinstance(frame.image, np.ndarray))
    assert image.shape == (120, 160, 3)


def test_the_end_that_was_asked_for_ends_a_camera(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.ts", images(24))
    with camera(film) as address:
        assert list(camera_frames(address, Selection(end=1e-9))) == []


def test_the_end_that_was_asked_for_ends_a_camera_that_is_away(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.ts", images(24))
    with camera(film) as address:
        frames = camera_frames(address, Selection(end=3))
        seen = [next(frames)]
    reader = threading.Thread(target=lambda: seen.extend(frames), daemon=True)
    reader.start()
    reader.join(30)
    assert not reader.is_alive()
    assert seen[-1].image == "the camera went away: it ended the stream"


@pytest.mark.parametrize("source", ["tcp://127.0.0.1:1", "rtsp://me:secret@127.0.0.1:1/a", "/dev/video77"])
def test_a_camera_that_is_not_there_says_so(source: str) -> None:
    (frame,) = camera_frames(source, Selection())
    assert isinstance(frame.image, str)
    assert frame.image.startswith("cannot open the camera: ")
    assert "secret" not in frame.source + frame.image


def test_addresses_and_devices_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert all(map(is_camera, ["0", "/dev/video1", "rtsp://camera/1", "tcp://127.0.0.1:5"]))
    assert not any(map(is_camera, ["film.mp4", "https://example.org/film.mp4", "-", ""]))
    Path("0").touch()
    assert not is_camera("0")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://me:secret@camera/1?x=a@b", "rtsp://camera/1?x=a@b"),
        ("rtsp://me:sec@ret@camera/1", "rtsp://camera/1"),
        ("rtsp://camera?x=a@b", "rtsp://camera?x=a@b"),
        ("films/me@home.mp4", "films/me@home.mp4"),
    ],
)
def test_user_and_password_are_not_shown(address: str, shown: str) -> None:
    assert shown_address(address) == shown
