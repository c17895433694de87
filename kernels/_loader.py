"""Loader of the compiled kernels at their first use on a device; without them the reference runs."""

from __future__ import annotations

import ctypes
import os
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from lnlattennet._program_folder import forbids_programs
from lnlattennet.errors import ConfigError, LnlAttenNetError, UnavailableError
from lnlattennet.kernels._build import TITLES, build_library, failed_build
from lnlattennet.kernels._cache import architectures_of, find_library, host, is_complete
from lnlattennet.kernels._toolchain import find_compilers

_SWITCH = "LNLATTENNET_KERNELS"
_TARGET = "LNLATTENNET_CPU_TARGET"
_VARIANT = "LNLATTENNET_CUDA_VARIANT"
_VARIANTS = ("automatic", "portable", "cluster_bands", "cluster_regions")
_SWITCHED_OFF = f"switched off by {_SWITCH}=reference"
_OLDEST_ARCHITECTURE = 75

_lock = threading.Lock()
_load_errors: dict[str, str] = {}
"""Device types that were tried: the reason why the reference runs there, or "" where compiled kernels do."""


@dataclass(frozen=True)
class Implementation:
    """Implementation of the ops on a device.

    Attributes:
        kind: "compiled", "reference", or "none" where there is no such device.
        reason: explanation of ``kind`` for the user.
        library: the file of compiled kernels, if it is built.
        target: the SIMD target in use ("avx512", ...), or the GPU architectures in the library.
    """

    kind: str
    reason: str
    library: Path | None = None
    target: str | None = None


def load_kernels(device: str) -> bool:
    """Load the compiled kernels of a device type, built if need be; return whether they are loaded.

    Tried once per process; a failure gives one warning, which says why and what to do.

    Raises:
        ConfigError: a variable that chooses the implementation has a wrong value.
    """
    with _lock:
        if device not in _load_errors:
            _load_errors[device] = _load(device)
            if _load_errors[device] not in ("", _SWITCHED_OFF):
                warnings.warn(
                    f"on {device} the attention runs in plain torch operations, which are slower than the "
                    f"compiled kernels: {_load_errors[device]}. To choose that, set {_SWITCH}=reference.",
                    RuntimeWarning,
                    stacklevel=2,
                )
    return not _load_errors[device]


def implementation(device: str) -> Implementation:
    """Return what runs on "cpu" or "cuda"; load the library if it is there, build nothing.

    Raises:
        ConfigError: a variable that chooses the implementation has a wrong value.
    """
    if _switched_off():
        return Implementation("reference", _SWITCHED_OFF)
    try:
        if device == "cuda" and not torch.cuda.is_available():
            return _implementation("none", "no CUDA device", device, find_library(device, ()))
        needed = architectures(device)
        library = find_library(device, needed)
        if library:
            _load_file(library)
            return _implementation("compiled", "built", device, library)
        find_compilers(device)
        log = failed_build(device, needed)
    except ConfigError:
        raise
    except LnlAttenNetError as error:
        return Implementation("reference", str(error))
    if log:
        reason = (
            f"the last build did not succeed and the next use tries again; its compilers' output is in {log}"
        )
        return Implementation("reference", reason)
    return Implementation(
        "compiled", "at first use, which builds it (`lnlattennet kernels build` does so now)"
    )


def compiled_target(device: str) -> str:
    """Return the target of the compiled kernels (``Implementation.target``), built and loaded if need be.

    Raises:
        UnavailableError: the reference runs on this device.
    """
    load_kernels(device)
    running = implementation(device)
    if running.kind != "compiled":
        raise UnavailableError(
            f"the op runs on the plain torch reference for {device} here, and there is nothing to measure: "
            f"{running.reason}"
        )
    return running.target or "unknown"


def architectures(device: str) -> tuple[str, ...]:
    """Return what the kernels must be compiled for: this CPU's architecture, or the GPUs' of this machine.

    Raises:
        UnavailableError: there is no GPU, or one is too old.
    """
    if device == "cpu":
        return host()
    capabilities = {torch.cuda.get_device_capability(index) for index in range(torch.cuda.device_count())}
    numbers = sorted(10 * major + minor for major, minor in capabilities)
    if not numbers:
        raise UnavailableError(
            "no CUDA device is here; `lnlattennet kernels build --arch` builds without one"
        )
    if numbers[0] < _OLDEST_ARCHITECTURE:
        raise UnavailableError(
            f"the CUDA kernels need compute capability 7.5 or later, a GPU here has {numbers[0] / 10}"
        )
    return tuple(str(number) for number in numbers)


def _load(device: str) -> str:
    if _switched_off():
        return _SWITCHED_OFF
    if device not in TITLES:
        return f"there are compiled kernels for {' and '.join(TITLES)} only"
    try:
        needed = architectures(device)
        library = find_library(device, needed) or build_library(device, needed)
        _load_file(library)
    except LnlAttenNetError as error:
        return str(error)
    _target(device, library)
    return ""


def _load_file(library: Path) -> None:
    if not is_complete(library):
        raise LnlAttenNetError(
            f"{library} is incomplete, or its .sha256 file is missing; copy both files again, or build it "
            "anew with `lnlattennet kernels build --force`"
        )
    try:
        torch.ops.load_library(library)  # type: ignore[no-untyped-call]
    except OSError as error:
        remedy = "build it anew with `lnlattennet kernels build --force`"
        if forbids_programs(library.parent):
            remedy = "its file system is mounted noexec: set LNLATTENNET_CACHE to another folder"
        raise LnlAttenNetError(f"{library} cannot be loaded ({error}); {remedy}") from error


def _implementation(kind: str, reason: str, device: str, library: Path | None) -> Implementation:
    return Implementation(kind, reason, library, _target(device, library) if library else None)


def _target(device: str, library: Path) -> str:
    """Return ``Implementation.target``; raise ConfigError if a variable asks for one that there is not."""
    if device == "cpu":
        name = ctypes.CDLL(str(library)).lnlattennet_cpu_target
        name.restype = ctypes.c_char_p
        target = str(name().decode())
        if target.startswith(_TARGET):
            raise ConfigError(target)
        return target
    variant = os.environ.get(_VARIANT, "")
    if variant and variant not in _VARIANTS:
        raise ConfigError(f"{_VARIANT} is {variant!r}: choose {', '.join(_VARIANTS)}, or unset it")
    return " ".join(f"sm_{number}" for number in architectures_of(library))


def _switched_off() -> bool:
    value = os.environ.get(_SWITCH, "")
    if value not in ("", "reference"):
        raise ConfigError(f"{_SWITCH} must be 'reference' or not set, got {value!r}")
    return value == "reference"
