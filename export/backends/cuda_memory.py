"""The little of CUDA's runtime that running a TensorRT engine needs (through NVIDIA's cuda-bindings)."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

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
    """Return the current device's compute capability, such as "SM90"."""
    runtime = _runtime()
    properties = _checked(runtime.cudaGetDeviceProperties(0))
    return f"SM{properties.major}{properties.minor}"


class Stream:
    """A CUDA stream that owns the buffers of one call and frees them at its end."""

    def __init__(self) -> None:
        self._runtime = _runtime()
        self._buffers: list[int] = []

    def __enter__(self) -> Self:
        self.handle: int = int(_checked(self._runtime.cudaStreamCreate()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Kernels that are still in flight must not outlive their buffers.
        self._runtime.cudaStreamSynchronize(self.handle)
        for buffer in self._buffers:
            self._runtime.cudaFree(buffer)
        self._runtime.cudaStreamDestroy(self.handle)

    def allocate(self, size: int) -> int:
        """Return the address of ``size`` new bytes on the device."""
        self._buffers.append(int(_checked(self._runtime.cudaMalloc(size))))
        return self._buffers[-1]

    def upload(self, array: NDArray[np.float32]) -> int:
        """Copy ``array`` to new device memory and return its address."""
        address = self.allocate(array.nbytes)
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        _checked(self._runtime.cudaMemcpyAsync(address, array.ctypes.data, array.nbytes, kind, self.handle))
        return address

    def download(self, address: int, array: NDArray[np.float32]) -> None:
        """Fill ``array`` from device memory and wait for it."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        _checked(self._runtime.cudaMemcpyAsync(array.ctypes.data, address, array.nbytes, kind, self.handle))
        _checked(self._runtime.cudaStreamSynchronize(self.handle))


def _runtime() -> Any:
    return require("cuda.bindings.runtime", "tensorrt")


def _checked(result: Any) -> Any:
    status, *values = result
    if status.value != 0:
        raise UnavailableError(f"CUDA failed with {status.name}; see its meaning in the CUDA runtime's docs")
    return values[0] if values else None
