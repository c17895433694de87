"""Options of TensorRT's builder: each is set, or refused by name where the installed package lacks it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from lnlattennet._atomic import replace_file
from lnlattennet.errors import ExportError, UsageError
from lnlattennet.runtimes.tensorrt._library import RTX, display_name

_log = logging.getLogger(__name__)
_HARDWARE_LEVELS = {"ampere+": "AMPERE_PLUS", "same-compute-capability": "SAME_COMPUTE_CAPABILITY"}
HARDWARE_LEVELS = ("none", *_HARDWARE_LEVELS)
"""GPUs that an engine runs on besides the one that it was built on; the default is none."""


@dataclass(frozen=True, kw_only=True)
class TensorRTBuilderConfig:
    """User's options for TensorRT's builder.

    Attributes:
        timing_cache: file that keeps kernel timings between builds; read if it is there, then written.
        optimization_level: 0 (fast build) to 5 (fast engine); None takes TensorRT's default.
        hardware_compatibility: one of ``HARDWARE_LEVELS``: GPUs that the engine runs on besides its own.
        version_compatible: the engine also runs on later versions of the same major one.

    Raises:
        UsageError: a level that no TensorRT has: TensorRT itself would clamp or ignore it.
    """

    timing_cache: Path | None = None
    optimization_level: int | None = None
    hardware_compatibility: str = "none"
    version_compatible: bool = False

    def __post_init__(self) -> None:
        if self.hardware_compatibility not in HARDWARE_LEVELS:
            raise UsageError(
                f"--hardware-compatibility-level must be one of {', '.join(HARDWARE_LEVELS)}, "
                f"got {self.hardware_compatibility!r}"
            )
        if self.optimization_level not in (None, *range(6)):
            raise UsageError(
                f"--builder-optimization-level must be from 0 to 5, got {self.optimization_level}"
            )


def apply_builder_config(trt: ModuleType, config: Any, options: TensorRTBuilderConfig) -> None:
    """Set ``options`` on a builder's ``config``.

    Raises:
        ExportError: the installed package does not have a flag, or not its value.
    """
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    if options.hardware_compatibility != "none":
        _set_hardware_compatibility(trt, config, options.hardware_compatibility)
    if options.version_compatible:
        _refuse_on_rtx(
            trt, "--version-compatible", "its engines run with exactly the version that built them"
        )
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.timing_cache is not None:
        # The timing cache API of TensorRT-RTX does nothing, is deprecated, and wants a GPU:
        # https://docs.nvidia.com/deeplearning/tensorrt-rtx/latest/inference-library/timing-cache-migration.html
        _refuse_on_rtx(trt, "--timing-cache", "it times no kernels at build time")
        _set_timing_cache(config, options.timing_cache)


def save_timing_cache(config: Any, options: TensorRTBuilderConfig) -> None:
    """Write the timings that a build added, if a cache was asked for."""
    if options.timing_cache is not None:
        with replace_file(options.timing_cache) as temporary:
            temporary.write_bytes(memoryview(config.get_timing_cache().serialize()))


def _set_hardware_compatibility(trt: ModuleType, config: Any, level: str) -> None:
    flag = f"--hardware-compatibility-level {level}"
    _refuse_on_rtx(trt, flag, "its engines run on every GPU from compute capability 8.0 on as they are")
    known = getattr(trt, "HardwareCompatibilityLevel", None)
    value = getattr(known, _HARDWARE_LEVELS[level], None)
    if value is None:
        raise ExportError(
            f"{flag}: {display_name(trt)} does not have this level; upgrade it or drop the flag"
        )
    config.hardware_compatibility_level = value


def _set_timing_cache(config: Any, path: Path) -> None:
    cache = config.create_timing_cache(path.read_bytes() if path.is_file() else b"")
    if cache is None or not config.set_timing_cache(cache, False):
        _log.warning(
            "--timing-cache %s was made by another version or on another GPU: starting an empty one", path
        )
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _refuse_on_rtx(trt: ModuleType, flag: str, why: str) -> None:
    if trt.__name__ == RTX:
        raise ExportError(
            f"{flag}: {display_name(trt)} does not have it, {why}; drop the flag for this backend"
        )
