"""Every field that is out of range is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lnlattennet.errors import ConfigError
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.model._presets import PRESETS, from_preset


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("classes", 1), ("classes", 1001), ("classes", 7.0), ("classes", True), ("classes", "7"),
        ("image_size", 8), ("image_size", 2048), ("image_size", 100), ("image_size", 116),
        ("out_stride", 0), ("out_stride", 3), ("out_stride", 16), ("out_stride", True),
        ("grid", 0), ("grid", 17), ("grid", 5),
        ("widths", ()), ("widths", (0,)), ("widths", (8, 2.5)), ("widths", [8, 8]), ("widths", (4,) * 8),
        ("blocks", (1,)), ("blocks", (1, 1, 0, 1)), ("blocks", [1, 1, 1, 1]), ("blocks", (1, 1, 1, 2.5)),
        ("channels", 0), ("channels", 4096),
        ("local_channels", -1), ("local_channels", 64), ("local_channels", 2.0),
        ("weight_temperature", -1), ("weight_temperature", float("nan")),
        ("heads", 0), ("heads", 65),
        ("local_features", 0), ("local_features", 5000),
        ("affinity_features", 0), ("affinity_features", -1),
        ("lambda_local", -0.1), ("lambda_local", float("nan")), ("lambda_local", "1"),
        ("lambda_nonlocal", float("inf")), ("lambda_nonlocal", None), ("lambda_nonlocal", 101),
    ],
)  # fmt: skip
def test_a_field_out_of_range_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=field):
        NetworkConfig(**{field: value})


def test_a_preset_is_a_start_for_other_fields() -> None:
    assert from_preset({"preset": "base", "grid": 3}) == replace(PRESETS["base"], grid=3)
    assert from_preset({"grid": 2}) == NetworkConfig(grid=2)
    for wrong in ("tiny", ["base"], {"name": "base"}):
        with pytest.raises(ConfigError, match="preset must be one of small, base, large, got "):
            from_preset({"preset": wrong})


def test_the_message_names_rule_value_and_way_out() -> None:
    with pytest.raises(ConfigError, match=r"divisible by 16 .*got 100; the nearest is 96"):
        NetworkConfig(image_size=100, widths=(8, 8, 8, 8))
    with pytest.raises(ConfigError, match="unknown network config field 'chanels'"):
        NetworkConfig.from_dict({"chanels": 3})


def test_a_config_survives_json() -> None:
    config = NetworkConfig(grid=2, widths=(8, 16), heads=3)
    assert NetworkConfig.from_dict(config.to_dict()) == config
    residual = NetworkConfig(grid=2, widths=(8, 16), blocks=(2, 1))
    assert NetworkConfig.from_dict(residual.to_dict()) == residual
    local = NetworkConfig(grid=2, local_channels=8, weight_temperature=0.5)
    assert NetworkConfig.from_dict(local.to_dict()) == local
    recipe = Preprocessing(size=48, mean=(0.1, 0.2, 0.3), resize_filter="lanczos")
    assert Preprocessing.from_dict(recipe.to_dict()) == recipe


def test_older_versions_read_what_does_without_newer_fields() -> None:
    newer = {"blocks", "local_channels", "weight_temperature"}
    assert not newer & set(NetworkConfig().to_dict())


def test_a_preprocessing_from_before_face_finders_were_chosen_means_haar() -> None:
    fields = Preprocessing().to_dict()
    for name in ("face_finder", "face_finder_version", "face_alignment"):
        del fields[name]
    old = Preprocessing.from_dict(fields)
    assert (old.face_finder, old.face_finder_version, old.face_alignment) == ("haar", "", "none")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 8), ("size", 112.0), ("color_order", "BGR"), ("mean", (0.5, 0.5)),
        ("mean", (0, 0, float("nan"))), ("std", (0.1, 0.1, 0.0)), ("std", (0.1, 0.1, -1.0)),
        ("resize_filter", "nearest"), ("face_margin", -0.1), ("face_margin", 2.0),
        ("face_alignment", "three-points"),
    ],
)  # fmt: skip
def test_a_preprocessing_field_out_of_range_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=field):
        Preprocessing(**{field: value})


def test_the_id_of_a_preprocessing_tells_every_other_from_it() -> None:
    """The default's is fixed: servers have stated it."""
    assert Preprocessing().id == "9a761f8c4090b2af"
    changes: list[dict[str, Any]] = [
        {"size": 96},
        {"mean": (0.5, 0.5, 0.4)},
        {"std": (0.25, 0.25, 0.2)},
        {"resize_filter": "bicubic"},
        {"face_finder": "haar2"},
        {"face_finder_version": "1"},
        {"face_margin": 0.2},
        {"face_alignment": "five-points"},
    ]
    ids = {Preprocessing(**change).id for change in changes}
    assert len(ids | {Preprocessing().id}) == len(changes) + 1
    assert Preprocessing.from_dict(Preprocessing().to_dict()).id == Preprocessing().id
