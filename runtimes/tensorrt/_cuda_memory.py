"""CUDA stream and device buffers of a TensorRT engine, through NVIDIA's cuda-bindings."""

from __future__ import annotations

import importlib.util
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import UnavailableError, require


def why_no_gpu() -> str:
    """Return why no CUDA device can be used, or "" if one can."""
    try:
        runtime = _runtime()
    except UnavailableError as error:
        return str(error)
    status, count = runtime.cudaGetDeviceCount()
    if status == runtime.cudaError_t.cudaSuccess and count > 0:
        return ""
    return f"no GPU (CUDA: {status.name})"


def compute_capability() -> str:
    """Return the first device's compute capability, such as "9.0"."""
    properties = _checked(_runtime().cudaGetDeviceProperties(0))
    return f"{properties.major}.{properties.minor}"


class DeviceBuffers:
    """A CUDA stream with named buffers on the device, freed with this object.

    Attributes:
        stream: handle of the stream.
        addresses: name -> address on the device.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        """Allocate ``sizes``: name -> bytes."""
        self._runtime = _runtime()
        self.stream = int(_checked(self._runtime.cudaStreamCreate()))
        self.addresses: dict[str, int] = {}
        self._release = weakref.finalize(self, _free, self._runtime, self.stream, self.addresses)
        # At the end of the process the driver frees everything, and CUDA may be gone before this runs.
        self._release.atexit = False
        for name, size in sizes.items():
            self.addresses[name] = int(_checked(self._runtime.cudaMalloc(size)))

    def upload(self, name: str, array: NDArray[np.float32]) -> None:
        """Copy a contiguous ``array`` to the beginning of a buffer, in the stream's order."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._copy(self.addresses[name], array.ctypes.data, array.nbytes, kind)

    def download(self, name: str, array: NDArray[np.float32]) -> None:
        """Fill a contiguous ``array`` from the beginning of a buffer once ``synchronize`` has returned."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._copy(array.ctypes.data, self.addresses[name], array.nbytes, kind)

    def synchronize(self) -> None:
        """Wait for all work on the stream."""
        _checked(self._runtime.cudaStreamSynchronize(self.stream))

    def _copy(self, target: int, source: int, size: int, kind: Any) -> None:
        _checked(self._runtime.cudaMemcpyAsync(target, source, size, kind, self.stream))


def _free(runtime: Any, stream: int, addresses: Mapping[str, int]) -> None:
    # Kernels that are still in flight must not outlive their buffers.
    runtime.cudaStreamSynchronize(stream)
    for address in addresses.values():
        runtime.cudaFree(address)
    runtime.cudaStreamDestroy(stream)


def _runtime() -> Any:
    """Import the bindings; the extra to install is the one of the TensorRT that is there."""
    proper = importlib.util.find_spec("tensorrt") is not None
    return require("cuda.bindings.runtime", "tensorrt" if proper else "rtx")


def _checked(result: Any) -> Any:
    status, *values = result
    if status.value != 0:
        raise UnavailableError(
            f"CUDA failed with {status.name}; the documentation of the CUDA runtime explains it"
        )
    return values[0] if values else None
