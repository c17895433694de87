"""Flags of TensorRT's builder: each has its effect or is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from lnlattennet.errors import ExportError, UsageError
from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig
from lnlattennet.runtimes.tensorrt._library import RTX, module_name
from tests.runtimes.tensorrt.engines import built, needs_gpu, rtx_only


@rtx_only
@pytest.mark.parametrize(
    ("config", "named"),
    [
        (TensorRTBuilderConfig(timing_cache=Path("cache")), "--timing-cache"),
        (TensorRTBuilderConfig(version_compatible=True), "--version-compatible"),
        (TensorRTBuilderConfig(hardware_compatibility="ampere+"), r"--hardware-compatibility-level ampere\+"),
        (
            TensorRTBuilderConfig(hardware_compatibility="same-compute-capability"),
            "--hardware-compatibility-level same",
        ),
    ],
)
def test_a_flag_that_tensorrt_rtx_lacks_is_refused_by_name(
    config: TensorRTBuilderConfig, named: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=f"{named}.*: TensorRT-RTX .* does not have it, .*drop the flag"):
        built(tmp_path, config=config)


def test_levels_that_do_not_exist_are_refused() -> None:
    """TensorRT would clamp a level that is too high and ignore a negative one."""
    for level in (-1, 6):
        with pytest.raises(
            UsageError, match=f"--builder-optimization-level must be from 0 to 5, got {level}"
        ):
            TensorRTBuilderConfig(optimization_level=level)
    with pytest.raises(UsageError, match=r"must be one of none, ampere.*, got 'volta'"):
        TensorRTBuilderConfig(hardware_compatibility="volta")


def test_the_optimization_level_reaches_the_builder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1, logger="lnlattennet")
    built(tmp_path, config=TensorRTBuilderConfig(optimization_level=0))
    assert "at optimization level 0" in caplog.text


@pytest.mark.gpu
@needs_gpu
@pytest.mark.skipif(module_name() == RTX, reason="TensorRT-RTX has no timing cache")
def test_a_foreign_timing_cache_is_replaced_and_the_new_one_is_reused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "timings"
    cache.write_bytes(b"of another version")
    built(tmp_path, config=TensorRTBuilderConfig(timing_cache=cache))
    assert "starting an empty one" in caplog.text
    caplog.clear()
    assert len(cache.read_bytes()) > 100
    built(tmp_path, config=TensorRTBuilderConfig(timing_cache=cache))
    assert "starting an empty one" not in caplog.text
