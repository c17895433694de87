"""ONNX Runtime: the engine is the ONNX file itself.

Where `onnxruntime-gpu` finds a GPU that works, engines are built for its CUDA provider, else for the CPU. The
file's metadata names the device, and it runs on no other. The TensorRT provider is not used: the
same TensorRT would build the same network while a model is loaded; `tensorrt` builds it once, to be verified.
"""

from __future__ import annotations

import functools
import json
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lnlattennet._onnxruntime import import_onnxruntime
from lnlattennet.errors import UnavailableError
from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.runtimes._base import Available, BackendInfo, BuildSpec, EngineFile, Runner, Unavailable

if TYPE_CHECKING:
    from lnlattennet.runtimes._precision import PrecisionPlan

INFO = BackendInfo(
    name="onnxruntime",
    complexity=0,
    packages={"onnxruntime": ("onnxruntime-gpu",)},
    # For the option of ``_SPIN_US``; Triton's own backend runs the file without it.
    runner_packages={"onnxruntime": ">=1.26"},
    triton_platform="onnxruntime_onnx",
    triton_file="model.onnx",
)

DEVICE_KEY = "device"
"""Metadata of a file for the GPU: "cuda". A file without it is for the CPU."""

# As float32 the GPU would otherwise take TF32, which keeps 10 bits of mantissa.
_CUDA: tuple[str, dict[str, str]] = ("CUDAExecutionProvider", {"use_tf32": "0"})
_PROVIDERS: dict[str, list[Any]] = {
    "cuda": [_CUDA, "CPUExecutionProvider"],
    "cpu": ["CPUExecutionProvider"],
}
_PRECISIONS = {
    "cuda": {"fp32": "", "fp16": "", "int8": "the CUDA provider multiplies no 8-bit integers"},
    "cpu": {
        "fp32": "",
        "int8": "",
        "fp16": "the CPU provider would compute it in fp32",
        "bf16": "the CPU provider has no such convolution",
    },
}
"""Device -> precision -> why the provider lacks it, or "" if it has it; it has no other precisions."""

_SPIN_US = 20
"""Microseconds that an idle worker spins before it sleeps; ONNX Runtime knows this option since 1.26.

Woken from sleep for every operator, a call takes 13% longer. Workers that spin on, the default, hold
the cores of whatever shares the machine: a call beside another takes 60% longer (docs/reference/export.md).
"""

_PACKAGES = {"cpu": "onnxruntime", "cuda": "onnxruntime-gpu"}
_EIGHT_BIT = {"int8", "uint8"}
_TYPES = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16"}


def availability() -> Available | Unavailable:
    """Return the installed package; without one the installation is damaged, as it is a core dependency."""
    from importlib import metadata

    for name in reversed(_PACKAGES.values()):
        try:
            return Available({name: metadata.version(name)})
        except metadata.PackageNotFoundError:
            continue
    return Unavailable("the Python package 'onnxruntime' is not installed: pip install onnxruntime")


def unsupported_reason(plan: PrecisionPlan) -> str | None:
    """Return why the plan does not run here; the CPU has fp32 and int8, the CUDA provider fp32 and fp16."""
    device = _device_here()
    for precision in sorted(plan.precisions):
        reason = _PRECISIONS[device].get(precision, f"it has no {precision} convolutions")
        if reason:
            return f"ONNX Runtime gives no {precision} on {device}: {reason}"
    return None


def build(onnx_path: Path, spec: BuildSpec) -> EngineFile:
    """Take the ONNX file as it is: a graph optimized ahead of time would be tied to this machine's CPU."""
    from lnlattennet.runtimes._machine import features_used
    from lnlattennet.runtimes._requirements import Requirements

    device = _device_here()
    path = onnx_path if device == "cpu" else _copy_for_gpu(onnx_path, spec)
    requires = Requirements(
        device="cuda" if device == "cuda" else "cpu",
        # The oldest that was tried with these graphs, fp32 and int8.
        packages={_PACKAGES[device]: ">=1.15"},
        cpu_features=features_used(spec.plan) if device == "cpu" else [],
    )
    return EngineFile(path, requires, _layers(path, device, spec))


def load(engine_file: Path, threads: int = 0) -> Runner:
    """Open a session on the device that the file is for.

    Raises:
        BundleError: the file refers to data in other files, or is too large.
        UnavailableError: the file is for a GPU, and ONNX Runtime finds none here.
    """
    from lnlattennet.runtimes._onnx_validation import check_onnx_file

    check_onnx_file(engine_file)
    device = _device_of(engine_file)
    if device == "cuda" and _device_here() != "cuda":
        raise UnavailableError(
            f"{engine_file.name} is for the CUDA provider of onnxruntime-gpu, which finds no GPU here; "
            "choose another engine of the bundle, or export again on this machine"
        )
    return _runner(_session(str(engine_file), device, threads))


def load_unfused(onnx_path: Path) -> Runner:
    """Open a session on the CPU that computes every node as the file has it: sums of Q/DQ pairs are exact."""
    return _runner(_session(str(onnx_path), "cpu", 0, optimized=False))


def _runner(session: Any) -> Runner:
    names = [output.name for output in session.get_outputs()]
    # Several threads may call a session.
    return lambda inputs: dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _session(
    model: str | bytes, device: str, threads: int, profile: Path | None = None, *, optimized: bool = True
) -> Any:
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or usable_cpus()
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(_SPIN_US))
    options.log_severity_level = 3
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return ort.InferenceSession(model, options, _PROVIDERS[device])


@functools.cache
def _device_here() -> str:
    """Return "cuda" if ONNX Runtime can open a session on a GPU, else "cpu"."""
    if _CUDA[0] not in import_onnxruntime().get_available_providers():
        return "cpu"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return "cuda" if _session(_smallest_model(), "cuda", 1).get_providers()[0] == _CUDA[0] else "cpu"


def _smallest_model() -> bytes:
    from onnx import parser

    text = '<ir_version: 8, opset_import: ["": 18]> identity (float[1] x) => (float[1] y) { y = Identity(x) }'
    return bytes(parser.parse_model(text).SerializeToString())


def _copy_for_gpu(onnx_path: Path, spec: BuildSpec) -> Path:
    import onnx

    model = onnx.load_model(str(onnx_path), load_external_data=False)
    model.metadata_props.add(key=DEVICE_KEY, value="cuda")
    path = spec.directory / f"onnxruntime-cuda-{spec.plan.precision}.onnx"
    onnx.save_model(model, str(path))
    return path


def _device_of(engine_file: Path) -> str:
    import onnx

    model = onnx.load_model(str(engine_file), load_external_data=False)
    devices = [item.value for item in model.metadata_props if item.key == DEVICE_KEY]
    return devices[0] if devices else "cpu"


def _layers(path: Path, device: str, spec: BuildSpec) -> dict[str, int]:
    """Run one black image under the profiler and count layers by the types of their inputs."""
    shape = (spec.batch.minimum, 3, spec.image_size, spec.image_size)
    with tempfile.TemporaryDirectory() as folder:
        session = _session(str(path), device, 0, Path(folder) / "profile")
        session.run(None, {INPUT_NAME: np.zeros(shape, np.float32)})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    kernels = [event["args"] for event in events if event["name"].endswith("_kernel_time")]
    return dict(Counter(_precision(kernel) for kernel in kernels if _is_layer(kernel["op_name"])))


def _is_layer(operator: str) -> bool:
    """Return whether it is a convolution or a matrix product, fused, quantized or plain."""
    return any(name in operator for name in ("Conv", "MatMul", "Gemm"))


def _precision(kernel: dict[str, Any]) -> str:
    types = [name for item in kernel["input_type_shape"] for name in item]
    # Quantized operators have float scales among their inputs.
    return "int8" if _EIGHT_BIT & set(types) else _TYPES.get(types[0], types[0])
