"""The region weights on a terminal and on an image."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from lnlattennet.bundle._prediction import Prediction, draw_overlays
from lnlattennet.images._overlay import DrawnFace, draw_faces
from lnlattennet.streams.cli._console import weight_table

PUBLISHED = [
    [0.0289, 0.0645, 0.0591, 0.0305],
    [0.0839, 0.1079, 0.0708, 0.0587],
    [0.0777, 0.1374, 0.0913, 0.0674],
    [0.0258, 0.0285, 0.0365, 0.0311],
]


def prediction(box: tuple[float, float, float, float], weights: list[list[float]] = PUBLISHED) -> Prediction:
    regions = len(weights) ** 2
    return Prediction(
        label="happiness",
        probabilities={"happiness": 0.83, "neutral": 0.17},
        logits=[1.6, 0.0],
        region_weights=weights,
        region_affinity=[[1 / regions] * regions] * regions,
        face_box=box,
        face_found=True,
    )


def printed(weights: list[list[float]], *, colors: bool) -> str:
    stream = io.StringIO()
    system = "truecolor" if colors else None
    Console(file=stream, force_terminal=colors, color_system=system, width=80).print(weight_table(weights))  # type: ignore[arg-type]
    return stream.getvalue()


def test_the_table_is_readable_without_colors() -> None:
    lines = printed(PUBLISHED, colors=False).splitlines()
    assert [line.split() for line in lines] == [
        [f"{weight:.3f}" + ("*" if weight == 0.1374 else "") for weight in row] for row in PUBLISHED
    ]


def test_colors_tell_large_weights_from_small_ones() -> None:
    text = printed(PUBLISHED, colors=True)
    assert text.count("\x1b[38;2;") == 16
    cells = {
        cell.split("m ", 1)[1][:5]: cell.split("m ", 1)[0] for cell in text.split("\x1b[") if "m " in cell
    }
    background = {
        number: [int(v) for v in code.split(";48;2;")[1].split(";")] for number, code in cells.items()
    }
    assert sum(background["0.137"]) > sum(background["0.084"]) > sum(background["0.026"])


@pytest.mark.parametrize("weights", [[[1.0]], np.full((8, 8), 1 / 64).tolist(), [[1.0, 0.0], [0.0, 0.0]]])
def test_other_grids_work(weights: list[list[float]]) -> None:
    assert len(printed(weights, colors=False).splitlines()) == len(weights)
    image = np.full((100, 100, 3), 128, dtype=np.uint8)
    assert prediction((10, 10, 90, 90), weights).draw_overlay(image).shape[1] >= 480


def region_changes(
    image: NDArray[np.uint8], drawn: NDArray[np.uint8], box: tuple[int, int, int, int]
) -> NDArray[np.float64]:
    """Mean change of color per region, away from its borders and its number."""
    left, top, right, bottom = box
    inset = (right - left) // 40
    difference = np.abs(drawn[: len(image)].astype(int) - image).sum(axis=-1)[top:bottom, left:right]
    cells = difference.reshape(4, (bottom - top) // 4, 4, (right - left) // 4).transpose(0, 2, 1, 3)
    quarter = cells.shape[2] // 4
    changes: NDArray[np.float64] = cells[:, :, inset:quarter, inset:-inset].mean(axis=(2, 3))
    return changes


def test_regions_are_tinted_by_their_weight_and_nothing_else_is() -> None:
    image = np.full((600, 640, 3), 128, dtype=np.uint8)
    original = image.copy()
    box = (100, 80, 500, 480)
    drawn = prediction(box).draw_overlay(image)
    np.testing.assert_array_equal(image, original)
    assert drawn.dtype == np.uint8
    assert drawn.shape[1] == 640
    assert drawn.shape[0] > 600
    outside = np.ones(image.shape[:2], dtype=bool)
    outside[75:485, 95:505] = False
    np.testing.assert_array_equal(drawn[:600][outside], image[outside])

    changes = region_changes(image, drawn, box)
    assert changes.argmax() == np.argmax(PUBLISHED)
    assert changes.min() > 5


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ((48, 48), (0, 0, 48, 48)),
        ((16, 16), (2.5, 2.5, 14.5, 14.5)),
        ((512, 512), (166.8, 58.8, 277.2, 169.2)),
        ((100, 900), (400, 0, 500, 100)),
        ((900, 100), (0, 400, 100, 500)),
        ((2400, 3000), (2950, 2350, 3000, 2400)),
    ],
)
def test_the_caption_fits_every_image(shape: tuple[int, int], box: tuple[float, float, float, float]) -> None:
    height, width = shape
    image = np.full((height, width, 3), 200, dtype=np.uint8)
    drawn = prediction(box).draw_overlay(image)
    assert min(drawn.shape[:2]) >= 480
    # The image keeps its aspect ratio; what is left below is the caption, with text and dark margins.
    image_height = round(height * drawn.shape[1] / width)
    caption = drawn[image_height + 2 :]
    assert caption.max() > 240
    assert 0.05 * min(drawn.shape[:2]) < len(caption) < 0.25 * drawn.shape[1]
    assert caption[:, :2].max() < 60
    assert caption[:, -2:].max() < 60


def test_a_long_label_is_made_to_fit() -> None:
    image = np.full((200, 200, 3), 200, dtype=np.uint8)
    label = "a contemptuous kind of astonishment that has a very long name"
    long = dataclasses.replace(prediction((0, 0, 200, 200)), label=label, probabilities={label: 1.0})
    drawn = long.draw_overlay(image)
    assert drawn[drawn.shape[1] + 1 :, -2:].max() < 60


def test_the_caption_says_when_no_face_was_found() -> None:
    image = np.full((500, 500, 3), 200, dtype=np.uint8)
    found = prediction((0, 0, 500, 500))
    missing = dataclasses.replace(found, face_found=False)
    assert (found.draw_overlay(image) != missing.draw_overlay(image)).any()


def test_every_face_is_drawn_with_its_label() -> None:
    image = np.full((500, 800, 3), 200, dtype=np.uint8)
    large, small = prediction((50, 100, 350, 400)), prediction((450, 0, 650, 200))
    small = dataclasses.replace(small, status="too_small")
    both = draw_overlays([large, small], image)
    alone = draw_overlays([large], image)
    assert both.shape == alone.shape
    changed = (both[:500] != alone[:500]).any(axis=2)
    assert changed[:200, 450:650].mean() > 0.8
    # The large face has a label above its frame now; its regions look as they did.
    assert changed[60:95, 50:200].mean() > 0.3
    assert not changed[103:397, 53:347].any()


def test_a_face_of_fewer_pixels_than_regions_on_a_side_is_drawn() -> None:
    """Distant faces in the frame of a video, which is not enlarged."""
    image = np.full((100, 100, 3), 200, dtype=np.uint8)
    drawn = draw_faces(image, [DrawnFace(np.full((16, 16), 1 / 256).tolist(), (40.0, 40.0, 50.0, 50.0))])
    assert (drawn != image)[40:50, 40:50].any(axis=2).all()


def test_a_long_strip_is_not_enlarged_without_end() -> None:
    """16 pixels high, as small as an image may be: to fit the caption it would grow 30 times each way."""
    strip = np.zeros((16, 100_000, 3), np.uint8)
    drawn = prediction((9_992.0, 0.0, 10_008.0, 16.0)).draw_overlay(strip)
    assert drawn.size / 3 < 45_000_000
