"""Build of a serialized TensorRT engine from an ONNX file."""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType
from typing import Any

from lnlattennet.errors import ExportError
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.runtimes._base import BuildSpec
from lnlattennet.runtimes.tensorrt import _library as tensorrt_module
from lnlattennet.runtimes.tensorrt._builder_config import (
    TensorRTBuilderConfig,
    apply_builder_config,
    save_timing_cache,
)
from lnlattennet.runtimes.tensorrt._compatibility import set_target
from lnlattennet.runtimes.tensorrt._cuda_memory import why_no_gpu
from lnlattennet.runtimes.tensorrt._inspector import demanded_layers, inspected_layers
from lnlattennet.runtimes.tensorrt._progress import build_with_progress

_log = logging.getLogger(__name__)


def build_plan(
    trt: ModuleType, onnx_path: Path, spec: BuildSpec, options: TensorRTBuilderConfig
) -> tuple[memoryview, dict[str, int]]:
    """Build an engine with one optimization profile over the batch range.

    Returns:
        The bytes of a `.plan` file, and ``EngineFile.layers``.

    Raises:
        ExportError: TensorRT cannot parse or build it, or lacks a flag; includes TensorRT's own message.
        KeyboardInterrupt: after the builder has stopped.
    """
    tensorrt_module.forget_errors()
    builder = trt.Builder(tensorrt_module.logger(trt))
    network = builder.create_network(_strongly_typed(trt))
    _parse(trt, network, onnx_path)
    config = _configured(trt, builder, spec, options)
    plan = build_with_progress(trt, config, lambda: builder.build_serialized_network(network, config))
    if plan is None:
        raise ExportError(f"TensorRT built no engine: {tensorrt_module.errors()}")
    save_timing_cache(config, options)
    content = memoryview(plan)
    return content, _layers(trt, network, content, spec)


def _strongly_typed(trt: ModuleType) -> int:
    # Networks of TensorRT 11 are always strongly typed; it may drop the flag.
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _parse(trt: ModuleType, network: Any, onnx_path: Path) -> None:
    parser = trt.OnnxParser(network, tensorrt_module.logger(trt))
    if not parser.parse_from_file(str(onnx_path)):
        errors = "; ".join(str(parser.get_error(index)) for index in range(parser.num_errors))
        raise ExportError(f"TensorRT cannot parse {onnx_path.name}: {errors}")


def _configured(trt: ModuleType, builder: Any, spec: BuildSpec, options: TensorRTBuilderConfig) -> Any:
    config = builder.create_builder_config()
    # On by default, and then float32 products keep 10 bits of mantissa and miss the gate by far; it says
    # nothing about products in other types.
    config.clear_flag(trt.BuilderFlag.TF32)
    # Without it the inspector gives names only.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    set_target(trt, config, spec.plan)
    apply_builder_config(trt, config, options)
    profile = builder.create_optimization_profile()
    batches = (spec.batch.minimum, spec.batch.optimum, spec.batch.maximum)
    profile.set_shape(INPUT_NAME, *((batch, 3, spec.image_size, spec.image_size) for batch in batches))
    config.add_optimization_profile(profile)
    return config


def _layers(trt: ModuleType, network: Any, plan: memoryview, spec: BuildSpec) -> dict[str, int]:
    """Count what the network demands, unless the engine's inspector, which needs a GPU, contradicts it."""
    demanded = demanded_layers(network)
    if why_no_gpu():
        return demanded
    engine = trt.Runtime(tensorrt_module.logger(trt)).deserialize_cuda_engine(plan)
    if engine is None:
        return demanded
    found = inspected_layers(trt, engine, (spec.batch.optimum, 3, spec.image_size, spec.image_size))
    _log.debug("TensorRT's inspector counts %s, the network %s", found, demanded)
    # Fewer layers are no contradiction: those fused into generated kernels are counted as one.
    return found if found.get("fp32", 0) > demanded.get("fp32", 0) else demanded
