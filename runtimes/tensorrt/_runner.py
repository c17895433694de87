"""A TensorRT engine as a function of numpy arrays."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import ExportError
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.runtimes._base import Arrays
from lnlattennet.runtimes.tensorrt import _library as tensorrt_module
from lnlattennet.runtimes.tensorrt._cuda_memory import DeviceBuffers


class EngineRunner:
    """Copies the input to the GPU, runs, and copies the outputs back; calls from several threads take turns.

    Buffers on the device are made once, for the engine's largest batch.
    """

    def __init__(self, trt: ModuleType, engine: Any) -> None:
        # A context does not keep its engine alive.
        self._engine = engine
        self._lock = threading.Lock()
        self._context = engine.create_execution_context()
        if self._context is None:
            raise ExportError(f"TensorRT cannot run the engine: {tensorrt_module.errors()}")
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        self._outputs = [name for name in names if name != INPUT_NAME]
        for name in names:
            if engine.get_tensor_dtype(name) != trt.float32:
                raise ExportError(f"the engine's {name} is not float32: it was not made by export-engine")
        self._smallest, _, self._largest = engine.get_tensor_profile_shape(INPUT_NAME, 0)
        self._device = DeviceBuffers(self._sizes())
        for name in names:
            self._context.set_tensor_address(name, self._device.addresses[name])

    def __call__(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        """Run on ``{"image": float32 [B, 3, S, S]}``; raise ExportError for a shape outside the profile."""
        image = np.ascontiguousarray(inputs[INPUT_NAME], np.float32)
        with self._lock:
            self._set_shape(image.shape)
            self._device.upload(INPUT_NAME, image)
            if not self._context.execute_async_v3(self._device.stream):
                raise ExportError(f"TensorRT failed to run the engine: {tensorrt_module.errors()}")
            outputs: Arrays = {name: np.empty(self._shape(name), np.float32) for name in self._outputs}
            for name, array in outputs.items():
                self._device.download(name, array)
            self._device.synchronize()
        return outputs

    def _set_shape(self, shape: tuple[int, ...]) -> None:
        tensorrt_module.forget_errors()
        if not self._context.set_input_shape(INPUT_NAME, shape):
            raise ExportError(
                f"the engine takes shapes from {tuple(self._smallest)} to {tuple(self._largest)}, not {shape}"
            )

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._context.get_tensor_shape(name))

    def _sizes(self) -> dict[str, int]:
        self._set_shape(tuple(self._largest))
        itemsize = np.dtype(np.float32).itemsize
        return {name: int(np.prod(self._shape(name))) * itemsize for name in (INPUT_NAME, *self._outputs)}
