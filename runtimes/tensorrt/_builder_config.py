"""What a user asked of TensorRT's builder: every flag is set, or refused by name where it is not known."""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType
from typing import Any

from lnlattennet._atomic import replace_file
from lnlattennet.errors import ExportError, UsageError
from lnlattennet.runtimes._base import BuilderFlags
from lnlattennet.runtimes.tensorrt._library import RTX, display_name

_log = logging.getLogger(__name__)
_HARDWARE_LEVELS = {"ampere+": "AMPERE_PLUS", "same-compute-capability": "SAME_COMPUTE_CAPABILITY"}


def apply_flags(trt: ModuleType, config: Any, flags: BuilderFlags) -> None:
    """Set ``flags`` on a builder's configuration.

    Raises:
        ExportError: the installed package does not have a flag, or not its value.
        UsageError: the timing cache is a folder.
    """
    if flags.optimization_level is not None:
        config.builder_optimization_level = flags.optimization_level
    if flags.hardware_compatibility != "none":
        _set_hardware_compatibility(trt, config, flags.hardware_compatibility)
    if flags.version_compatible:
        _refuse_on_rtx(
            trt, "--version-compatible", "its engines run with exactly the version that built them"
        )
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if flags.timing_cache is not None:
        # The timing cache API of TensorRT-RTX does nothing, is deprecated, and wants a GPU:
        # https://docs.nvidia.com/deeplearning/tensorrt-rtx/latest/inference-library/timing-cache-migration.html
        _refuse_on_rtx(trt, "--timing-cache", "it times no kernels at build time")
        _set_timing_cache(config, flags.timing_cache)


def save_timing_cache(config: Any, flags: BuilderFlags) -> None:
    """Write the timings that a build added, if a cache was asked for."""
    if flags.timing_cache is not None:
        with replace_file(flags.timing_cache) as temporary:
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
    if path.is_dir():
        raise UsageError(f"--timing-cache {path} is a folder; name a file")
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
