"""NVIDIA TensorRT: module `tensorrt` if it is installed, else `tensorrt_rtx` (same Python API).

TensorRT-RTX builds real engines ahead of time on a machine with no GPU; running one needs a GPU.
Networks are strongly typed, the only kind that TensorRT 11 knows: precision is what the ONNX graph says.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import ExportError
from lnlattennet.export.backends.base import Arrays, Available, BuildSpec, EngineFile, Runner, Unavailable
from lnlattennet.model.names import INPUT_NAME

_MODULES = ("tensorrt", "tensorrt_rtx")
_log = logging.getLogger(__name__)


def availability() -> Available | Unavailable:
    """TensorRT proper needs a GPU to build; TensorRT-RTX needs one only to run."""
    name = _module_name()
    if name is None:
        return Unavailable(
            "neither 'tensorrt' nor 'tensorrt_rtx' is installed: pip install 'lnlattennet[tensorrt]' "
            "(GPU machines) or 'lnlattennet[rtx]' (builds anywhere)"
        )
    no_gpu = _why_no_gpu()
    if no_gpu and name == "tensorrt":
        return Unavailable(f"TensorRT builds engines only on a machine with a GPU: {no_gpu}")
    return Available({name: str(importlib.import_module(name).__version__)}, cannot_run=no_gpu)


def build(onnx_path: Path, spec: BuildSpec) -> EngineFile:
    """Parse the ONNX file and serialise an engine with one optimisation profile over the batch range."""
    trt = _module()
    builder = trt.Builder(_logger(trt))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, _logger(trt))
    if not parser.parse_from_file(str(onnx_path)):
        errors = "; ".join(str(parser.get_error(index)) for index in range(parser.num_errors))
        raise ExportError(f"TensorRT cannot parse {onnx_path.name}: {errors}")
    config = builder.create_builder_config()
    # On by default, and then "float32" products keep 10 bits of mantissa and miss the gate by far.
    config.clear_flag(trt.BuilderFlag.TF32)
    config.add_optimization_profile(_profile(builder, spec))
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ExportError("TensorRT built no engine; its messages are above")
    path = spec.directory / f"{trt.__name__.replace('_', '-')}-fp32.plan"
    path.write_bytes(memoryview(plan))
    return EngineFile(path, _built_for(trt))


def load(engine_file: Path, threads: int = 0) -> Runner:
    """Deserialise an engine on the current CUDA device; ``threads`` means nothing on a GPU."""
    trt = _module()
    engine = trt.Runtime(_logger(trt)).deserialize_cuda_engine(engine_file.read_bytes())
    if engine is None:
        raise ExportError(
            f"{engine_file.name} does not load with {trt.__name__} {trt.__version__} on this GPU: a plan "
            "runs only with the version and the GPU family it was built for; export again here"
        )
    return _EngineRunner(engine)


class _EngineRunner:
    """Copies inputs to the GPU, runs, and copies outputs back, on one stream."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._context = engine.create_execution_context()
        self._names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]

    def __call__(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        from lnlattennet.export.backends.cuda_memory import Stream

        image = np.ascontiguousarray(inputs[INPUT_NAME])
        with Stream() as stream:
            self._context.set_input_shape(INPUT_NAME, image.shape)
            self._context.set_tensor_address(INPUT_NAME, stream.upload(image))
            outputs: Arrays = {}
            addresses: dict[str, int] = {}
            for name in self._names:
                if name != INPUT_NAME:
                    outputs[name] = np.empty(tuple(self._context.get_tensor_shape(name)), np.float32)
                    addresses[name] = stream.allocate(outputs[name].nbytes)
                    self._context.set_tensor_address(name, addresses[name])
            if not self._context.execute_async_v3(stream.handle):
                raise ExportError("TensorRT failed to run the engine; its messages are above")
            for name, array in outputs.items():
                stream.download(addresses[name], array)
        return outputs


def _module_name() -> str | None:
    """TensorRT proper where it can build, else TensorRT-RTX, which builds anywhere."""
    installed = [name for name in _MODULES if importlib.util.find_spec(name) is not None]
    if len(installed) > 1 and _why_no_gpu():
        return "tensorrt_rtx"
    return installed[0] if installed else None


def _module() -> ModuleType:
    name = _module_name()
    if name is None:
        raise ExportError("neither 'tensorrt' nor 'tensorrt_rtx' is installed")
    return importlib.import_module(name)


def _why_no_gpu() -> str:
    from lnlattennet.export.backends.cuda_memory import why_no_gpu

    return why_no_gpu()


def _logger(trt: ModuleType) -> Any:
    """One logger for the process, as TensorRT demands; its messages join this package's log."""
    if trt.__name__ not in _loggers:

        class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
            def log(self, severity: Any, message: str) -> None:
                level = {"VERBOSE": 5, "INFO": logging.DEBUG, "WARNING": logging.WARNING}
                _log.log(level.get(severity.name, logging.ERROR), "TensorRT: %s", message)

        _loggers[trt.__name__] = Logger()
    return _loggers[trt.__name__]


_loggers: dict[str, Any] = {}


def _profile(builder: Any, spec: BuildSpec) -> Any:
    profile = builder.create_optimization_profile()
    batches = (spec.batch.minimum, spec.batch.optimum, spec.batch.maximum)
    shapes = [(batch, 3, spec.image_size, spec.image_size) for batch in batches]
    profile.set_shape(INPUT_NAME, *shapes)
    return profile


def _built_for(trt: ModuleType) -> dict[str, str]:
    if trt.__name__ == "tensorrt_rtx":
        families = [name for name in trt.ComputeCapability.__members__ if name.startswith("SM")]
        return {"device": "cuda", "compute_capabilities": " ".join(families)}
    from lnlattennet.export.backends.cuda_memory import compute_capability

    return {"device": "cuda", "compute_capabilities": compute_capability()}
