"""Candidates that run the ONNX graph, where their packages and the exporter's are installed.

Only torch and numpy are imported before a candidate is asked for: a bare machine lacks the rest,
and its record names the missing package.
"""

from __future__ import annotations

import functools
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lnlattennet.benchmarks.harness._turns import Replayable
from lnlattennet.benchmarks.network._cases import LARGEST_BATCH, NetworkCase
from lnlattennet.benchmarks.network._torch_candidates import NO_GPU, Call, NetworkBuilds, captured
from lnlattennet.errors import UnavailableError
from lnlattennet.model._io_spec import INPUT_NAME, OUTPUT_NAMES

ONNX_RUNTIME = "ONNX Runtime"
TENSORRT = "TensorRT"
OWN_GRAPH = "its own"


def onnxruntime(builds: NetworkBuilds, case: NetworkCase, image: Tensor) -> tuple[Replayable, str]:
    """Start the CUDA provider with its own CUDA graph (or the CPU provider), inputs and outputs bound."""
    from lnlattennet._onnxruntime import import_onnxruntime

    ort = import_onnxruntime()
    provider = f"{builds.device.upper()}ExecutionProvider"
    if provider not in ort.get_available_providers():
        raise UnavailableError(f"the installed onnxruntime {ort.__version__} has no {provider}")
    path = _export_variant(builds, case.precision)
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, [(provider, _provider_options(builds.device))])
    if session.get_providers()[0] != provider:
        raise UnavailableError(f"onnxruntime {ort.__version__} could not start its {provider}")
    bound = _Session(ort, session, image, _empty_outputs(builds, image))
    return bound, OWN_GRAPH if image.is_cuda else NO_GPU


def tensorrt(builds: NetworkBuilds, case: NetworkCase, image: Tensor) -> tuple[Replayable, str]:
    """Build an engine for this batch size only; TensorRT-RTX builds it anywhere, and runs it on a GPU."""
    # The exporter's message for this needs packages that a bare machine lacks.
    if not any(find_spec(name) for name in ("tensorrt", "tensorrt_rtx")):
        raise UnavailableError("neither 'tensorrt' nor 'tensorrt_rtx' is installed")
    from lnlattennet.runtimes._base import BatchRange, BuildSpec
    from lnlattennet.runtimes._precision import uniform_plan
    from lnlattennet.runtimes.tensorrt import _library as tensorrt_module
    from lnlattennet.runtimes.tensorrt._builder import build_plan
    from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig

    trt = tensorrt_module.module()
    path = _export_variant(builds, case.precision)
    spec = BuildSpec(
        plan=uniform_plan(case.precision, builds.config),
        batch=BatchRange(case.batch, case.batch, case.batch),
        image_size=builds.config.image_size,
        checkpoint=path,  # only torch's own backends read it
        directory=builds.folder,
    )
    plan, _ = build_plan(trt, path, spec, TensorRTBuilderConfig())
    name = tensorrt_module.display_name(trt)
    if builds.device == "cpu":
        raise UnavailableError(f"{name} built an engine of {len(plan)} bytes, and needs a GPU to run it")
    engine = trt.Runtime(tensorrt_module.logger(trt)).deserialize_cuda_engine(plan)
    if engine is None:
        raise UnavailableError(f"{name} cannot load its engine on this GPU: {tensorrt_module.errors()}")
    call = _Execution(engine, _context(trt, engine), image, _empty_outputs(builds, image))
    if trt.__name__ == tensorrt_module.RTX:
        return Call(call, image), OWN_GRAPH
    return captured(call, image)


class _Session:
    """An ONNX Runtime session with everything bound to torch's memory."""

    calls = 1

    def __init__(self, ort: Any, session: Any, image: Tensor, outputs: tuple[Tensor, ...]) -> None:
        self._session, self._image, self.outputs = session, image, outputs
        self._binding = session.io_binding()
        self._binding.bind_input(INPUT_NAME, *_place(image))
        for name, output in zip(OUTPUT_NAMES, outputs, strict=True):
            self._binding.bind_output(name, *_place(output))
        self._options = ort.RunOptions()
        # Queue the work like torch; older releases wait for their CUDA graph nevertheless.
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        # Its first calls choose algorithms and record the graph.
        for _ in range(3):
            self.replay()

    def replay(self) -> None:
        self._session.run_with_iobinding(self._binding, self._options)


class _Execution:
    """A TensorRT context with everything bound to torch's memory."""

    def __init__(self, engine: Any, context: Any, image: Tensor, outputs: tuple[Tensor, ...]) -> None:
        # A context does not keep its engine alive.
        self._engine, self._context, self._outputs = engine, context, outputs
        context.set_input_shape(INPUT_NAME, tuple(image.shape))
        for name, tensor in zip((INPUT_NAME, *OUTPUT_NAMES), (image, *outputs), strict=True):
            context.set_tensor_address(name, tensor.data_ptr())

    def __call__(self, image: Tensor) -> tuple[Tensor, ...]:
        if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise RuntimeError("TensorRT failed to run the engine")
        return self._outputs


@functools.lru_cache(maxsize=1)  # cases of one precision follow each other, and two candidates share it
def _export_variant(builds: NetworkBuilds, precision: str) -> Path:
    """Write the network as standard ONNX operators in a precision, as `export-engine` does."""
    import onnx

    from lnlattennet.export.onnx._exporter import export_onnx
    from lnlattennet.export.onnx._inline import inlined
    from lnlattennet.export.precision._apply import apply_plan
    from lnlattennet.model._checkpoint import Checkpoint, CheckpointInfo
    from lnlattennet.model._preprocessing import Preprocessing
    from lnlattennet.runtimes._base import BatchRange
    from lnlattennet.runtimes._precision import uniform_plan

    config = builds.config
    names = tuple(f"class {number}" for number in range(config.classes))
    recipe = Preprocessing(size=config.image_size)
    info = CheckpointInfo(config=config, class_names=names, preprocessing=recipe)
    weights = {name: tensor.cpu() for name, tensor in builds.network.state_dict().items()}
    exported, path = builds.folder / "model.onnx", builds.folder / f"{precision}.onnx"
    export_onnx(Checkpoint(info, weights), exported, BatchRange(1, 8, LARGEST_BATCH))
    standard = inlined(onnx.load_model(str(exported)))
    onnx.save_model(apply_plan(standard, uniform_plan(precision, config), {}), str(path))
    return path


def _provider_options(device: str) -> dict[str, str]:
    if device == "cpu":
        return {}
    # It refuses to record a graph if any layer would run on the CPU: none falls back unseen.
    stream = str(torch.cuda.current_stream().cuda_stream)
    return {"use_tf32": "0", "enable_cuda_graph": "1", "user_compute_stream": stream}


def _context(trt: Any, engine: Any) -> Any:
    if not hasattr(trt, "CudaGraphStrategy"):
        return engine.create_execution_context()
    # TensorRT-RTX compiles when it first runs, which a stream under capture does not allow: it has its own.
    config = engine.create_runtime_config()
    config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
    return engine.create_execution_context(config)


def _empty_outputs(builds: NetworkBuilds, image: Tensor) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return tuple(torch.empty_like(output).contiguous() for output in builds.network(image))


def _place(tensor: Tensor) -> tuple[str, int, Any, tuple[int, ...], int]:
    """Return the arguments of ``bind_input``: device, number, element type, shape and address."""
    return tensor.device.type, tensor.device.index or 0, np.float32, tuple(tensor.shape), tensor.data_ptr()
