"""Behavior of the synthetic faces: the seed's promise, the regions' truth, and that expressions show."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lnlattennet.data.synthetic import EXPRESSIONS, HELD_OUT, TRAIN, Nuisance, render_face
from lnlattennet.data.synthetic._action_units import PROTOTYPES, UNITS
from lnlattennet.errors import ConfigError

CLEAN = replace(
    TRAIN,
    glasses=0.0,
    occlusion=0.0,
    grayscale=0.0,
    gamma=(1.0, 1.0),
    contrast=(1.0, 1.0),
    blur=(0.0, 0.0),
    noise=(0.0, 0.0),
    low_resolution=0.0,
    jpeg=0.0,
)
"""Training faces seen by a perfect camera, with nothing before them."""

UPRIGHT = replace(CLEAN, roll=(0.0, 0.0), yaw=(0.0, 0.0), pitch=(0.0, 0.0), zoom=(1.0, 1.0), shift=(0.0, 0.0))
"""The same faces, upright in the middle of the image."""

MOVING = tuple(name for name in EXPRESSIONS if name != "neutral")


def mean_regions(expression: str, grid: int = 4) -> NDArray[np.float64]:
    faces = [render_face(s, expression, intensity=0.9, grid=grid, nuisance=UPRIGHT) for s in range(12)]
    return np.asarray(np.mean([face.regions for face in faces], axis=0), np.float64)


def difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.asarray(np.abs(first.astype(np.float64) - second).mean(axis=2))


class TestSeed:
    @pytest.mark.parametrize("nuisance", [TRAIN, HELD_OUT])
    def test_the_same_arguments_give_the_same_bytes(self, nuisance: Nuisance) -> None:
        first, second = (render_face(7, "fear", nuisance=nuisance) for _ in range(2))
        assert first.image.tobytes() == second.image.tobytes()
        assert first.regions.tobytes() == second.regions.tobytes()
        assert (first.label, first.intensity) == (second.label, second.intensity)

    def test_another_seed_gives_another_image(self) -> None:
        assert difference(render_face(1, "anger").image, render_face(2, "anger").image).mean() > 8.0

    def test_another_expression_is_the_same_photograph(self) -> None:
        for seed in range(6):
            rest = render_face(seed, "neutral", nuisance=UPRIGHT).image
            corners = np.zeros((112, 112), bool)
            corners[:8, :8] = corners[:8, -8:] = True
            for expression in MOVING:
                shown = render_face(seed, expression, nuisance=UPRIGHT, with_regions=False).image
                change = difference(shown, rest)
                assert change[corners].max() < 2.0
                assert change.mean() < difference(render_face(seed + 50, "neutral").image, rest).mean()

    def test_regions_do_not_change_the_image(self) -> None:
        with_them, without = (render_face(3, "sadness", with_regions=flag) for flag in (True, False))
        assert np.array_equal(with_them.image, without.image)
        assert not without.regions.any()

    def test_intensity_is_drawn_or_given(self) -> None:
        drawn = {render_face(s, "anger", size=16, with_regions=False).intensity for s in range(20)}
        assert len(drawn) == 20
        assert min(drawn) >= 0.45
        assert max(drawn) <= 1.0
        assert render_face(0, "anger", intensity=0.3).intensity == 0.3
        assert render_face(0, "neutral", intensity=0.9).intensity == 0.0

    def test_no_intensity_is_the_face_at_rest(self) -> None:
        rest, none = render_face(5, "neutral"), render_face(5, "surprise", intensity=0.0)
        assert np.array_equal(rest.image, none.image)
        assert not none.regions.any()

    def test_more_intensity_changes_more(self) -> None:
        rest = render_face(4, "happiness", intensity=0.0, nuisance=CLEAN).image
        steps = [render_face(4, "happiness", intensity=i, nuisance=CLEAN).image for i in (0.3, 0.6, 1.0)]
        changes = [difference(step, rest).mean() for step in steps]
        assert changes == sorted(changes)
        assert changes[0] > 0.3


class TestImage:
    @pytest.mark.parametrize("expression", EXPRESSIONS)
    def test_shape_type_and_label(self, expression: str) -> None:
        face = render_face(11, expression, size=64, grid=5)
        assert face.image.shape == (64, 64, 3)
        assert face.image.dtype == np.uint8
        assert face.image.flags.c_contiguous
        assert EXPRESSIONS[face.label] == expression
        assert face.regions.shape == (5, 5)
        assert face.regions.dtype == np.float32

    def test_the_full_range_of_values_and_color_are_used(self) -> None:
        images = np.stack([render_face(s, "happiness", with_regions=False).image for s in range(30)])
        assert images.min() < 10
        assert images.max() > 245
        colored = [np.ptp(image.astype(int), axis=2).max() > 20 for image in images]
        assert 0.5 < np.mean(colored) < 1.0  # some are gray

    @pytest.mark.parametrize("size", [48, 224])
    def test_an_image_of_another_size_is_the_same_image(self, size: int) -> None:
        for seed in range(4):
            for expression in ("neutral", "surprise"):
                large, small = (
                    render_face(seed, expression, size=s, nuisance=CLEAN, with_regions=False).image
                    for s in (max(size, 112), min(size, 112))
                )
                reduced = cv2.resize(large, small.shape[:2], interpolation=cv2.INTER_AREA)
                assert difference(np.asarray(reduced, np.uint8), small).mean() < 3.0

    @pytest.mark.parametrize("nuisance", [TRAIN, HELD_OUT], ids=["train", "held-out"])
    @given(seed=st.integers(0, 2**40), expression=st.sampled_from(EXPRESSIONS))
    @settings(max_examples=40, deadline=None)
    def test_no_image_is_empty(self, nuisance: Nuisance, seed: int, expression: str) -> None:
        face = render_face(seed, expression, size=48, nuisance=nuisance)
        middle = face.image[8:40, 8:40]
        assert face.image.std() > 8.0
        assert middle.std() > 5.0
        assert np.isfinite(face.regions).all()

    @given(size=st.integers(16, 130), data=st.data())
    @settings(max_examples=25, deadline=None)
    def test_any_size_and_grid_work(self, size: int, data: st.DataObject) -> None:
        grid = data.draw(st.integers(1, size))
        face = render_face(9, "surprise", size=size, grid=grid)
        assert face.image.shape == (size, size, 3)
        assert face.regions.shape == (grid, grid)
        assert face.regions.sum() == pytest.approx(1.0, abs=1e-4)


class TestRegions:
    @pytest.mark.parametrize("expression", MOVING)
    def test_shares_sum_to_one(self, expression: str) -> None:
        for seed in range(5):
            regions = render_face(seed, expression).regions
            assert regions.min() >= 0.0
            assert regions.sum() == pytest.approx(1.0, abs=1e-5)

    def test_nothing_changes_in_a_neutral_face(self) -> None:
        assert not render_face(0, "neutral").regions.any()

    @pytest.mark.parametrize("expression", MOVING)
    def test_they_tell_where_the_image_changed(self, expression: str) -> None:
        for seed in range(4):
            shown = render_face(seed, expression, nuisance=CLEAN)
            change = difference(shown.image, render_face(seed, "neutral", nuisance=CLEAN).image)
            cells = change.reshape(4, 28, 4, 28).mean(axis=(1, 3))
            assert np.allclose(cells / cells.sum(), shown.regions, atol=0.02)

    @pytest.mark.parametrize("expression", ["happiness", "surprise"])
    def test_smiles_and_open_mouths_are_below_the_nose(self, expression: str) -> None:
        assert mean_regions(expression)[2:].sum() > 0.5

    @pytest.mark.parametrize("expression", ["anger", "sadness"])
    def test_frowns_are_around_the_brows(self, expression: str) -> None:
        brows = mean_regions(expression, grid=8)[2:4].sum()
        assert brows > 1.25 * mean_regions("happiness", grid=8)[2:4].sum()

    def test_what_an_occluder_hides_does_not_count(self) -> None:
        behind = replace(UPRIGHT, occlusion=1.0, occluders=("scarf",), occluded_area=(0.3, 0.3))
        for seed in range(4):
            hidden = render_face(seed, "surprise", intensity=1.0, nuisance=behind).regions
            seen = render_face(seed, "surprise", intensity=1.0, nuisance=UPRIGHT).regions
            assert hidden[3].sum() < seen[3].sum()


class TestErrors:
    @pytest.mark.parametrize("seed", [-1, 1.0, True, "1", None])
    def test_seed(self, seed: object) -> None:
        with pytest.raises(ConfigError, match=r"seed must be an integer of 0 or more, got"):
            render_face(seed, "anger")  # type: ignore[arg-type]

    @pytest.mark.parametrize("expression", ["joy", "", "Anger", None])
    def test_expression(self, expression: object) -> None:
        with pytest.raises(ConfigError, match=r"one of anger, .*, surprise, got") as caught:
            render_face(0, expression)  # type: ignore[arg-type]
        assert repr(expression) in str(caught.value)

    @pytest.mark.parametrize("size", [15, 0, -3, 112.0, True, None])
    def test_size(self, size: object) -> None:
        with pytest.raises(ConfigError, match=rf"size must be an integer of 16 or more pixels, got {size}"):
            render_face(0, "anger", size=size)  # type: ignore[arg-type]

    @pytest.mark.parametrize("grid", [0, -1, 113, 4.0])
    def test_grid(self, grid: object) -> None:
        with pytest.raises(ConfigError, match=rf"grid must be an integer in 1..size \(112\), got {grid}"):
            render_face(0, "anger", grid=grid)  # type: ignore[arg-type]

    @pytest.mark.parametrize("intensity", [-0.1, 1.01, float("nan"), "high", True])
    def test_intensity(self, intensity: object) -> None:
        with pytest.raises(ConfigError, match=r"intensity must be in 0..1, or None to draw it, got"):
            render_face(0, "anger", intensity=intensity)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("field", "value", "rule"),
        [
            ("roll", (5.0, -5.0), r"-30 <= low <= high <= 30, got \(5.0, -5.0\)"),
            ("yaw", (0.0, 60.0), r"-25 <= low <= high <= 25, got \(0.0, 60.0\)"),
            ("zoom", 1.0, r"0.6 <= low <= high <= 1.6, got 1.0"),
            ("noise", (float("nan"), 0.1), r"0 <= low <= high <= 0.2, got \(nan, 0.1\)"),
            ("blur", (0.0, 1.0, 2.0), r"0 <= low <= high <= 4, got"),
            ("glasses", 1.5, r"a chance in 0..1, got 1.5"),
            ("jpeg", "often", r"a chance in 0..1, got 'often'"),
            ("hair_styles", ("mohawk",), r"one or more of bald, short, .*, got \('mohawk',\)"),
            ("occluders", (), r"one or more of bar, .*, got \(\)"),
            ("backgrounds", "flat", r"one or more of flat, .*, got 'flat'"),
        ],
    )
    def test_nuisance(self, field: str, value: object, rule: str) -> None:
        with pytest.raises(ConfigError, match=rf"^nuisance\.{field} must be .*{rule}"):
            Nuisance(**{field: value})  # type: ignore[arg-type]


class TestTables:
    def test_every_expression_has_a_prototype_of_known_units(self) -> None:
        assert tuple(PROTOTYPES) == EXPRESSIONS
        assert {unit for variants in PROTOTYPES.values() for v in variants for unit in v} <= set(UNITS)

    def test_the_held_out_images_share_no_props_with_the_training_ones(self) -> None:
        for field in ("hair_styles", "glasses_shapes", "backgrounds", "occluders"):
            assert not set(getattr(TRAIN, field)) & set(getattr(HELD_OUT, field))
        assert HELD_OUT.light_azimuth[0] >= TRAIN.light_azimuth[1]


_HOG = cv2.HOGDescriptor((64, 64), (16, 16), (8, 8), (8, 8), 9)


def gradients(seeds: range, nuisance: Nuisance) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Histograms of gradients [n, 1764] and labels; one expression per seed."""
    rows, labels = [], []
    for seed in seeds:
        name = EXPRESSIONS[seed % len(EXPRESSIONS)]
        face = render_face(seed, name, size=64, nuisance=nuisance, with_regions=False)
        rows.append(np.asarray(_HOG.compute(cv2.cvtColor(face.image, cv2.COLOR_RGB2GRAY))).ravel())
        labels.append(face.label)
    return np.array(rows, np.float64), np.array(labels)


@pytest.mark.slow
def test_a_linear_reader_of_gradients_beats_chance_on_other_people_and_other_light() -> None:
    x, y = gradients(range(245), TRAIN)
    centered = x - x.mean(axis=0)
    targets = np.eye(len(EXPRESSIONS))[y] - 1.0 / len(EXPRESSIONS)
    weights = centered.T @ np.linalg.solve(centered @ centered.T + 10.0 * np.eye(len(x)), targets)
    for nuisance, least in ((TRAIN, 0.42), (HELD_OUT, 0.35)):  # chance is 1 in 7
        test_x, test_y = gradients(range(10_000, 10_105), nuisance)
        assert (np.argmax((test_x - x.mean(axis=0)) @ weights, axis=1) == test_y).mean() > least
