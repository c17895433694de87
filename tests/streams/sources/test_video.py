"""Frames of videos: times, turns, what is asked for, and every kind of damage."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from lnlattennet.errors import UsageError
from lnlattennet.streams._frame import Frame
from lnlattennet.streams.sources._frames import frames as sources
from lnlattennet.streams.sources._selection import Selection, parse_time
from lnlattennet.streams.sources._video import expected_frames, is_video, video_frames
from tests.streams.films import HEIGHT, RATE, WIDTH, images, write_film

UNEVEN = [0.0, 0.02, 0.5, 0.54, 1.7, 1.74, 2.0, 2.5, 2.52, 3.0]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", images(24))


def frames(path: Path, selection: Selection | None = None) -> list[Frame]:
    return list(video_frames(str(path), selection or Selection()))


def errors(path: Path) -> list[str]:
    return [frame.image for frame in frames(path) if isinstance(frame.image, str)]


def times(found: list[Frame]) -> list[float]:
    return [frame.time for frame in found if frame.time is not None]


def pixels(frame: Frame) -> NDArray[np.uint8]:
    assert isinstance(frame.image, np.ndarray), frame.image
    return frame.image


def is_red(image: NDArray[np.uint8], row: int, column: int) -> bool:
    red, green, blue = image[row, column].tolist()
    return bool(red > 150 and green < 100 and blue < 100)


def test_frames_have_pixels_numbers_and_times(film: Path) -> None:
    found = frames(film)
    assert [frame.index for frame in found] == list(range(24))
    np.testing.assert_allclose(times(found), np.arange(24) / RATE, atol=0.001)
    original = np.stack(list(images(24))).astype(int)
    assert np.abs(np.stack([pixels(frame) for frame in found]) - original).mean() < 5
    assert {frame.shot for frame in found} == {0}


@pytest.mark.parametrize("name", ["uneven.mp4", "uneven.mkv"])
def test_a_variable_frame_rate_keeps_its_times(tmp_path: Path, name: str) -> None:
    film = write_film(tmp_path / name, images(len(UNEVEN)), UNEVEN)
    np.testing.assert_allclose(times(frames(film)), UNEVEN, atol=0.002)


@pytest.mark.parametrize("name", ["film.ts", "film.h264", "live.mkv"])
def test_no_index_is_needed(tmp_path: Path, name: str) -> None:
    muxer: dict[str, Any] = {"live": "1"} if name == "live.mkv" else {}
    film = write_film(tmp_path / name, images(24), **muxer)
    found = frames(film)
    rate = 25 if name == "film.h264" else RATE  # FFmpeg's assumption where neither times nor a rate are told
    np.testing.assert_allclose(times(found), np.arange(24) / rate, atol=0.002)


@pytest.mark.parametrize(("rotation", "corner"), [(-90, (5, -6)), (180, (-6, -6)), (90, (-6, 5))])
def test_a_turned_video_is_upright(tmp_path: Path, rotation: int, corner: tuple[int, int]) -> None:
    film = write_film(tmp_path / "turned.mp4", images(2), rotation=rotation)
    image = pixels(frames(film)[0])
    assert image.shape == ((HEIGHT, WIDTH, 3) if rotation == 180 else (WIDTH, HEIGHT, 3))
    assert is_red(image, *corner)


def test_every_start_and_end_choose_frames(film: Path) -> None:
    chosen = frames(film, Selection(every=5, start=0.3, end=0.7))
    assert [frame.index for frame in chosen] == [10, 15, 20]
    assert chosen[0].time == pytest.approx(10 / RATE, abs=0.001)


def test_expected_frames_are_those_that_come_if_anything_can_tell(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert expected_frames(str(film), Selection()) == 24
    assert expected_frames(str(tmp_path / "missing.mp4"), Selection()) is None
    monkeypatch.setitem(sys.modules, "av", None)
    assert expected_frames(str(film), Selection()) is None


def test_a_start_beyond_the_end_is_told(film: Path) -> None:
    (frame,) = frames(film, Selection(start=50))
    assert isinstance(frame.image, str)
    assert "--start 50 s" in frame.image
    assert "24 frames up to 0.77 s" in frame.image


def test_frames_that_every_passes_over_are_not_called_missing(film: Path) -> None:
    (frame,) = frames(film, Selection(every=20, start=0.7))
    assert "no frame of --every 20 lies between --start 0.7 s" in str(frame.image)
    assert str(frame.image).endswith("start earlier, or take more of them")


def test_an_end_before_the_first_frame_is_told(tmp_path: Path, film: Path) -> None:
    late = tmp_path / "late.mkv"
    with av.open(str(film)) as source, av.open(str(late), "w") as target:
        sound = target.add_stream("aac", rate=44100, layout="mono")
        video = target.add_stream_from_template(source.streams.video[0])
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        silence.rate = 44100
        target.mux([*sound.encode(silence), *sound.encode()])
        for packet in source.demux(video=0):
            if packet.dts is not None and packet.pts is not None:
                packet.pts += round(2 / packet.time_base)
                packet.dts += round(2 / packet.time_base)
                packet.stream = video
                target.mux(packet)
    (frame,) = frames(late, Selection(end=1))
    assert frame.image == "the first frame is at 1.98 s, and --end is 1 s; end later"


def test_damaged_frames_are_told_and_the_others_kept(tmp_path: Path, film: Path) -> None:
    data = bytearray(film.read_bytes())
    with av.open(str(film)) as container:
        packets = [
            (packet.pos, packet.size)
            for packet in container.demux(video=0)
            if packet.pos is not None and packet.size
        ]
    for position, size in packets[6:8]:
        data[position + 4 : position + size] = bytes(size - 4)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data)
    found = frames(broken)
    damaged = [frame for frame in found if isinstance(frame.image, str)]
    assert damaged
    assert all("the frame is damaged" in str(frame.image) and frame.time is not None for frame in damaged)
    whole = [frame for frame in found if not isinstance(frame.image, str)]
    assert len(whole) > 12
    assert whole[-1].time == pytest.approx(23 / RATE, abs=0.001)
    assert [frame.index for frame in found] == list(range(len(found)))


def without_packets(film: Path, lost: range) -> Path:
    """Write the film as if its demuxer had lost some packets."""
    holed = film.with_name(f"holed-{film.name}")
    with av.open(str(film)) as source, av.open(str(holed), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.dts is not None and number not in lost:
                packet.stream = stream
                target.mux(packet)
    return holed


@pytest.mark.parametrize("name", ["film.mkv", "film.ts"])
def test_a_frame_that_was_patched_up_is_told(tmp_path: Path, name: str) -> None:
    film = write_film(tmp_path / name, images(60))
    assert not errors(film)
    data = bytearray(film.read_bytes())
    for position in range(len(data) // 2, len(data) // 2 + 400):
        data[position] ^= 0xFF
    film.write_bytes(data)
    assert any("data missing or wrong in a part of it" in message for message in errors(film))
    assert times(frames(film)) == sorted(times(frames(film)))


def test_times_do_not_go_back_where_packets_were_lost(tmp_path: Path) -> None:
    """The decoder sorts by what frames say of their order, and that repeats."""
    film = write_film(tmp_path / "film.mp4", images(60), keyframes=250)
    found = frames(without_packets(film, range(8, 30)))
    assert times(found) == sorted(times(found))
    (late,) = (frame.image for frame in found if isinstance(frame.image, str))
    assert "its time goes back from 1.27 s to 0.23 s: frames between them are lost" in late


def test_times_go_on_where_recordings_were_joined(tmp_path: Path) -> None:
    one = write_film(tmp_path / "one.ts", images(24))
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() * 2)
    found = frames(both)
    assert len(found) == 48
    np.testing.assert_allclose(times(found), np.arange(48) / RATE, atol=0.002)
    # The joint itself counts as damage: packets seem to be missing there.
    assert len(errors(both)) == 1


def test_a_video_cut_off_keeps_its_first_frames(tmp_path: Path) -> None:
    times = [index / 4 for index in range(24)]
    whole = write_film(tmp_path / "whole.mkv", images(24), times).read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole[: len(whole) // 2])
    *kept, last = frames(cut)
    assert len(kept) > 4
    assert isinstance(last.image, str)
    assert "s are missing: the video was cut off" in last.image


@pytest.mark.parametrize("name", ["lapse.mp4", "lapse.mkv", "lapse.mov"])
def test_a_last_frame_that_lasts_is_not_missing(tmp_path: Path, name: str) -> None:
    """A time lapse or slides: the announced seconds count those for which the last frame is shown."""
    film = write_film(tmp_path / name, images(5), [0, 5, 10, 15, 20], rate=Fraction(1, 5))
    with av.open(str(film)) as container:
        assert (container.duration or 0) / 1e6 > 24
    assert [frame.time for frame in frames(film)] == [0, 5, 10, 15, 20]


def test_a_video_without_its_index_names_the_way_out(tmp_path: Path, film: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(film.read_bytes()[:4000])
    (message,) = errors(cut)
    assert "was cut off and lost the index at its end: copy or record it again" in message


def test_a_colon_in_a_name_begins_no_address(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("12:30.mp4").symlink_to(film)
    found = frames(Path("12:30.mp4"))
    assert len(found) == expected_frames("12:30.mp4", Selection()) == 24
    assert {frame.source for frame in found} == {"12:30.mp4"}


def test_a_size_that_changes_keeps_every_frame(tmp_path: Path) -> None:
    small = write_film(tmp_path / "small.h264", images(6))
    large = write_film(tmp_path / "large.h264", images(6, width=240, height=180))
    both = tmp_path / "both.h264"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    found = frames(both)
    assert [pixels(frame).shape[:2] for frame in found] == [(120, 160)] * 6 + [(180, 240)] * 6
    assert [frame.shot for frame in found] == [0] * 6 + [1] * 6


def test_pixels_are_those_that_pyav_gives(tmp_path: Path, film: Path) -> None:
    large = write_film(tmp_path / "large.h264", images(3, width=242, height=180))
    small = write_film(tmp_path / "small.h264", images(3), color_range=2)
    both = tmp_path / "both.h264"
    both.write_bytes(large.read_bytes() + small.read_bytes())
    for path in (film, both):
        with av.open(str(path)) as container:
            plain = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        for frame, expected in zip(frames(path), plain, strict=True):
            np.testing.assert_array_equal(pixels(frame), expected)


def write_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        sound.rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode())


def test_files_without_images_say_what_they_are(tmp_path: Path) -> None:
    sound, empty, text = tmp_path / "sound.mp4", tmp_path / "empty.mp4", tmp_path / "text.mp4"
    write_sound(sound)
    empty.touch()
    text.write_text("no video at all\n" * 50)
    assert "it has only audio (aac)" in errors(sound)[0]
    assert "empty (0 bytes)" in errors(empty)[0]
    assert "it is no video" in errors(text)[0]
    assert "No such file" in errors(tmp_path / "missing.mp4")[0]


def test_rows_of_an_address_have_no_password() -> None:
    (frame,) = video_frames("http://me:secret@127.0.0.1:1/film.mp4", Selection())
    assert frame.source == "http://127.0.0.1:1/film.mp4"
    assert "secret" not in str(frame.image)


def test_an_address_of_nothing_that_is_read_has_no_password_either() -> None:
    (frame,) = sources("http://me:secret@camera/stream?id=1", Selection())
    assert frame.source == "http://camera/stream?id=1"
    assert "must end as a video does" in str(frame.image)


def test_cuts_are_counted(tmp_path: Path) -> None:
    film = write_film(tmp_path / "cuts.mp4", [*images(6, seed=7), *images(6, seed=5), *images(6, seed=7)])
    assert [frame.shot for frame in frames(film)] == [0] * 6 + [1] * 6 + [2] * 6


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90.5", 90.5), ("1:30", 90), ("0:01:30.25", 90.25), ("2:00:00", 7200)]
)
def test_times_may_have_minutes_and_hours(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1:75", "1:61:00", "a", "1:2:3:4", "nan"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="a time must be seconds, MM:SS or HH:MM:SS"):
        parse_time(text)


def test_a_selection_without_frames_is_refused() -> None:
    with pytest.raises(UsageError, match="--end must be after --start, got 2 s after 3 s"):
        Selection(start=3, end=2)
    with pytest.raises(UsageError, match="--every must be at least 1, got 0"):
        Selection(every=0)


def test_videos_are_known_by_their_ending() -> None:
    assert is_video("a/B.MP4")
    assert is_video("https://example.org/film.webm?key=1")
    assert not is_video("face.jpg")
