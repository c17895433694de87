"""Panels for every grid and number of heads: drawn without warnings, with every weight at its region."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lnlattennet.evaluation.explain._class_means import ClassMean
from lnlattennet.evaluation.explain._drawing import RegionMap, image_of, new_figure, save_png
from lnlattennet.evaluation.explain._internals import Explanation
from lnlattennet.evaluation.explain._panels import class_panel, face_panel

SIZE = 48


def explanation_of(grid: int, heads: int) -> Explanation:
    rng, regions = np.random.default_rng(1), grid * grid
    attention = rng.random((1, heads, SIZE, SIZE))
    return Explanation(
        probabilities=rng.dirichlet(np.ones(7), 1).astype(np.float32),
        weights=rng.dirichlet(np.ones(regions), 1).astype(np.float32),
        affinity=rng.dirichlet(np.ones(regions), (1, regions)).astype(np.float32),
        local_attention=(attention / attention.sum() * regions * heads).astype(np.float32),
    )


def mean_of(name: str, count: int, grid: int, *, known: bool) -> ClassMean:
    explanation = explanation_of(grid, 1)
    return ClassMean(
        name=name,
        count=count,
        face=np.full((SIZE, SIZE, 3), 120.0),
        weights=explanation.weights[0].astype(np.float64),
        affinity=explanation.affinity[0].astype(np.float64),
        attention=explanation.local_attention[0, 0].astype(np.float64),
        change=explanation.weights[0].astype(np.float64) if known else None,
    )


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def titles(figure: Figure) -> str:
    return " | ".join(axes.get_title() for axes in figure.axes)


@pytest.mark.parametrize(("grid", "heads"), [(1, 1), (2, 3), (4, 1), (6, 2), (16, 8)])
def test_a_face_panel_shows_every_head(grid: int, heads: int) -> None:
    face = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    names = tuple("abcdefg")
    explanation = explanation_of(grid, heads)
    figure = face_panel(face, explanation, grid=grid, region=grid * grid - 1, class_names=names, name="x.png")
    image_of(figure)
    assert titles(figure).count("local attention") == heads
    assert f"weights around region {grid * grid - 1}" in titles(figure)
    best = names[int(explanation.probabilities[0].argmax())]
    assert figure.get_suptitle().startswith(f"x.png:  {best} ")


def test_numbers_stand_in_the_region_whose_weight_they_are() -> None:
    axes = new_figure(4, 4).subplots()
    weights = np.array([0.5, 0.25, 0.2, 0.05])
    RegionMap(axes, weights, 2, 0.5)
    placed = {text.get_position(): text.get_text() for text in axes.texts}
    assert placed == {(0.5, 0.5): ".500", (1.5, 0.5): ".250", (0.5, 1.5): ".200", (1.5, 1.5): ".050"}


def test_colors_lie_where_the_face_is_row_by_row() -> None:
    """The brightest patch of the drawn image is the heaviest region's: upper right here."""
    figure = new_figure(2, 2)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    RegionMap(axes, np.array([0.0, 1.0, 0.0, 0.0]), 2, 1.0)
    axes.set_axis_off()
    pixels = np.asarray(image_of(figure)).astype(float).mean(axis=2)
    quarters = [part.mean() for half in np.array_split(pixels, 2) for part in np.array_split(half, 2, axis=1)]
    assert int(np.argmax(quarters)) == 1


@pytest.mark.parametrize("grid", [1, 4, 12])
@pytest.mark.parametrize("known", [True, False])
def test_a_class_panel_has_a_row_per_class(grid: int, known: bool) -> None:
    means = [mean_of(name, 3, grid, known=known) for name in ("calm", "grin")]
    figure = class_panel(means, grid=grid, region=0, name="mine")
    image_of(figure)
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == ["calm (3)", "grin (3)"]
    assert ("what really changes" in titles(figure)) == known
    assert figure.get_suptitle() == "mine: means over 6 faces"


def test_a_dollar_in_a_name_is_a_dollar() -> None:
    """matplotlib reads text between two of them as mathematics, and refuses what is none."""
    face = np.zeros((SIZE, SIZE, 3), np.uint8)
    names = tuple(f"{letter}$^_$" for letter in "abcdefg")
    panel = face_panel(face, explanation_of(1, 1), grid=1, region=0, class_names=names, name="$^_x_ é $a.png")
    classes = class_panel([mean_of("a$^_$", 3, 1, known=True)], grid=1, region=0, name="$^_x_ é $a")
    for figure in (panel, classes):
        image_of(figure)
        assert figure.get_suptitle().startswith("$^_x_ é $a")
    assert "a$^_$ (3)" in [axes.get_ylabel() for axes in classes.axes]


def test_a_character_without_a_glyph_is_drawn_without_a_warning(tmp_path: Path) -> None:
    """matplotlib warns of it, past every --quiet; a warning is an error here."""
    figure = class_panel([mean_of("🤖 幸福", 3, 1, known=True)], grid=1, region=0, name="🤖")
    image_of(figure)
    save_png(figure, tmp_path / "classes.png")


def test_of_very_many_classes_the_largest_are_drawn() -> None:
    means = [mean_of(f"class {index}", index + 1, 1, known=False) for index in range(40)]
    figure = class_panel(means, grid=1, region=0, name="many")
    rows = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert rows == [f"class {index} ({index + 1})" for index in range(16, 40)]


def test_larger_grids_have_no_unreadable_numbers() -> None:
    def numbers(grid: int) -> list[str]:
        figure = new_figure(3, 3)
        values: NDArray[np.float64] = np.full(grid * grid, 0.1)
        RegionMap(figure.subplots(), values, grid, 1.0)
        return texts(figure)

    assert len(numbers(4)) == 16
    assert numbers(16) == []
