"""A bundle's engine and its competitors: torch and its compilers, ONNX Runtime, OpenVINO int8 by NNCF."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet._onnxruntime import import_onnxruntime
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._manifest import Manifest
from lnlattennet.data._face_images import calibration_faces
from lnlattennet.errors import require
from lnlattennet.export._engine_builder import ONNX_NAME
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.runtimes._openvino import import_openvino
from lnlattennet.runtimes._registry import backend_named

Faces = NDArray[np.float32]
Logits = Callable[[Faces], NDArray[np.float32]]

OURS = "the bundle's engine"
EAGER = "torch eager"
ONNX_RUNTIME = "ONNX Runtime fp32, defaults"
NNCF = "OpenVINO int8, NNCF's defaults"
COMPILED = "torch.compile, max-autotune"
AOTI = "AOTInductor"
NNCF_FACES = 300
"""Default of ``nncf.quantize``."""


def bundle_engine(bundle: str, threads: int) -> Logits:
    """Load the bundle's selected engine."""
    runner = Bundle.load(bundle).runner(None, threads)
    return lambda faces: runner({INPUT_NAME: faces})["logits"]


def torch_eager(checkpoint: str, threads: int) -> Logits:
    """Load the network with `load_checkpoint`, to be run in inference mode."""
    import torch

    from lnlattennet.model._checkpoint import load_checkpoint

    torch.set_num_threads(threads)
    network = load_checkpoint(Path(checkpoint)).network()

    def run(faces: Faces) -> NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(faces)).logits.numpy())

    return run


def torch_compiled(checkpoint: str, threads: int) -> Logits:
    """Compile the network with `torch.compile`, in its fastest layout, anew for every batch size."""
    import torch

    from lnlattennet.model._checkpoint import load_checkpoint
    from lnlattennet.runtimes.torch._network import engine_network

    torch.set_num_threads(threads)
    network = engine_network(load_checkpoint(Path(checkpoint)).network(), torch.float32, "cpu")
    # A CPU has no CUDA graphs, which the mode would try otherwise.
    call = torch.compile(network, dynamic=False, fullgraph=True, mode="max-autotune-no-cudagraphs")

    def run(faces: Faces) -> NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(call(torch.from_numpy(faces))[0].numpy())

    return run


def aot_inductor(package: str, threads: int) -> Logits:
    """Load a package of ``compile_aot_inductor``."""
    runner = backend_named("aoti").load(Path(package), threads)
    return lambda faces: runner({INPUT_NAME: faces})["logits"]


def compile_aot_inductor(checkpoint: Path, largest_batch: int, path: Path) -> Path:
    """Compile the network for batches up to ``largest_batch``, as an export does; return ``path``.

    Raises:
        ExportError: AOTInductor or its C++ compiler failed.
    """
    import torch

    from lnlattennet.model._checkpoint import load_checkpoint
    from lnlattennet.runtimes.torch._network import engine_network
    from lnlattennet.runtimes.torch._package import compile_package

    loaded = load_checkpoint(checkpoint)
    network = engine_network(loaded.network(), torch.float32, "cpu")
    compile_package(network, loaded.info.config.image_size, largest_batch, "cpu", path)
    return path


def onnxruntime_defaults(bundle: str, threads: int) -> Logits:
    """Start the bundle's fp32 graph in a session with default options except the number of threads."""
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(Path(bundle) / ONNX_NAME), options, ["CPUExecutionProvider"])
    return lambda faces: np.asarray(session.run(["logits"], {INPUT_NAME: faces})[0])


def openvino_nncf(model: str, threads: int) -> Logits:
    """Compile a model of ``quantize_with_nncf`` for latency, otherwise with OpenVINO's defaults."""
    ov = import_openvino()
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
    return lambda faces: np.array(request.infer({INPUT_NAME: faces}, share_inputs=True)["logits"])


def quantize_with_nncf(bundle: Path, manifest: Manifest, path: Path) -> Path:
    """Quantize the bundle's fp32 graph with NNCF's defaults, on rendered faces; return ``path``."""
    ov = import_openvino()
    nncf = require("nncf", "dev")

    logging.getLogger("nncf").setLevel(logging.ERROR)
    faces = calibration_faces(NNCF_FACES, manifest.preprocessing)
    dataset = nncf.Dataset([face[None] for face in faces], lambda face: {INPUT_NAME: face})
    # Its progress bars would stand on stdout, before the record.
    with redirect_stdout(sys.stderr):
        quantized = nncf.quantize(ov.Core().read_model(bundle / ONNX_NAME), dataset)
    ov.save_model(quantized, path, compress_to_fp16=False)
    return path
