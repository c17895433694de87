"""Annotated videos: same times, and faces marked where the rows say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from lnlattennet.streams._frame import Frame
from lnlattennet.streams._overlay_video import overlay_video
from lnlattennet.streams._rows import Row
from tests.streams.films import images

TIMES = [0.0, 0.02, 0.5, 0.54, 1.7, 1.74, 2.0, 2.5]
FACE = Row(
    source="film.mp4",
    status="ok",
    track=3,
    box=(20, 20, 100, 100),
    label="happiness",
    probabilities=(0.9, 0.1),
    region_weights=(1 / 16,) * 16,
    model_hash="",
    preprocessing_id="",
)


def draw(path: Path, frames: Iterable[NDArray[np.uint8] | str], rows: list[Row]) -> None:
    with overlay_video(path) as video:
        for index, image in enumerate(frames):
            video.draw(Frame("film.mp4", index, TIMES[index], image), rows)


def read(path: Path) -> tuple[list[float], list[NDArray[np.uint8]]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    pixels = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]
    return [frame.time or 0.0 for frame in frames], pixels


def test_frames_keep_their_times_and_show_their_faces(tmp_path: Path) -> None:
    originals = list(images(8))
    draw(tmp_path / "o.mp4", originals, [FACE])
    times, drawn = read(tmp_path / "o.mp4")
    np.testing.assert_allclose(times, TIMES, atol=1e-4)
    changed = [np.abs(a.astype(int) - b).mean(axis=2) for a, b in zip(originals, drawn, strict=True)]
    assert all(change[22:98, 22:98].mean() > 10 for change in changed)
    assert all(change[104:, 110:].mean() < 5 for change in changed)


def test_a_frame_without_a_face_is_as_it_was(tmp_path: Path) -> None:
    originals = list(images(3))
    draw(tmp_path / "o.mp4", originals, [])
    _, drawn = read(tmp_path / "o.mp4")
    assert np.abs(np.stack(drawn).astype(int) - np.stack(originals)).mean() < 4


def test_odd_and_changing_sizes_and_gaps_are_drawn(tmp_path: Path) -> None:
    odd = next(images(1, width=161, height=121))
    draw(tmp_path / "o.mp4", [odd, "the frame is damaged", next(images(1, width=120, height=240))], [FACE])
    times, drawn = read(tmp_path / "o.mp4")
    assert times == pytest.approx([0.0, 0.5])
    assert {image.shape for image in drawn} == {(122, 162, 3)}
    assert drawn[1][:, :30].max() < 30  # the narrow image has black bars beside it


def test_a_colon_in_the_name_begins_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw(Path("12:30.mp4"), images(2), [FACE])
    assert len(read(tmp_path / "12:30.mp4")[1]) == 2


def test_what_was_drawn_before_an_end_is_whole(tmp_path: Path) -> None:
    def interrupted() -> Iterator[NDArray[np.uint8]]:
        yield from images(5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path / "o.mp4", interrupted(), [FACE])
    assert len(read(tmp_path / "o.mp4")[1]) == 5
