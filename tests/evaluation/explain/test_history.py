"""History of the region weights: reading, refusals and drawings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lnlattennet.errors import DataError
from lnlattennet.evaluation.explain._drawing import save_png
from lnlattennet.evaluation.explain._history import (
    WeightHistory,
    evenly,
    history_strip,
    read_history,
    save_animation,
)
from lnlattennet.training._run_folder import REGION_WEIGHTS

HEADER = "step,region_0,region_1,region_2,region_3\n"


def history_of(states: int, regions: int = 4) -> WeightHistory:
    weights = np.random.default_rng(0).dirichlet(np.ones(regions), states)
    return WeightHistory(np.arange(states) * 10, weights)


def test_a_run_is_read(tmp_path: Path) -> None:
    (tmp_path / REGION_WEIGHTS).write_text(HEADER + "10,0.25,0.25,0.25,0.25\n20,0.7,0.1,0.1,0.1\n")
    history = read_history(tmp_path)
    assert history.grid == 2
    assert history.steps.tolist() == [10, 20]
    assert history.weights[1].tolist() == [0.7, 0.1, 0.1, 0.1]
    assert history.to_dict() == {
        "states": 2,
        "first_step": 10,
        "last_step": 20,
        "first_weights": [0.25] * 4,
        "last_weights": [0.7, 0.1, 0.1, 0.1],
    }


def test_a_step_that_was_run_again_counts_once(tmp_path: Path) -> None:
    again = "10,1,0,0,0\n20,1,0,0,0\n10,0,1,0,0\n"
    (tmp_path / REGION_WEIGHTS).write_text(HEADER + again)
    history = read_history(tmp_path)
    assert history.steps.tolist() == [10, 20]
    assert history.weights[0].tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a table"),
        ("step,loss\n1,2\n", "must have the columns step, region_0"),
        ("step,region_0,region_1\n1,0.5,0.5\n", "K a square number"),
        (HEADER, "has no row yet"),
        (HEADER + "1,0.5,0.5\n", "line 2: expected a step and 4 weights"),
        (HEADER + "1,0.25,0.25,0.25,0.25\n2,0.25,0.25,nan,0.25\n", "line 3"),
        (HEADER + "\n", "line 2"),
        (HEADER + "1,2,0,0,0\n", "line 2"),
        (HEADER + "x,0.25,0.25,0.25,0.25\n", "line 2"),
        (b"\xff\xfe\x00", "cannot be read as a table"),
    ],
)
def test_another_table_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    (tmp_path / REGION_WEIGHTS).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message):
        read_history(tmp_path)


def test_a_missing_history_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no region_weights.csv in .*: give the run folder of"):
        read_history(tmp_path)


@pytest.mark.parametrize(("states", "frames"), [(1, 1), (5, 5)])
def test_the_animation_runs_through_the_states(tmp_path: Path, states: int, frames: int) -> None:
    path = tmp_path / "history.gif"
    save_animation(history_of(states), path)
    with Image.open(path) as animation:
        assert animation.format == "GIF"
        assert getattr(animation, "n_frames", 1) == frames
        seen = set()
        for index in range(frames):
            animation.seek(index)
            seen.add(animation.convert("RGB").crop((0, 50, 300, 330)).tobytes())
        assert len(seen) == frames, "the weights differ in every frame"
    assert [file.name for file in tmp_path.iterdir()] == ["history.gif"]


def test_a_long_run_is_shown_by_states_evenly_apart_with_first_and_last() -> None:
    chosen = evenly(1001, 41)
    assert chosen.tolist() == list(range(0, 1001, 25))
    assert evenly(3, 40).tolist() == [0, 1, 2]
    assert evenly(1, 40).tolist() == [0]


@pytest.mark.parametrize(("states", "regions"), [(1, 1), (2, 9), (40, 16), (7, 256)])
def test_a_strip_is_drawn_for_any_grid(tmp_path: Path, states: int, regions: int) -> None:
    path = tmp_path / "history.png"
    save_png(history_strip(history_of(states, regions)), path)
    with Image.open(path) as image:
        assert image.size == (1200, 540)
