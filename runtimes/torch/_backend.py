"""Torch itself, the reference as an engine: a checkpoint file, its weights in the engine's precision."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lnlattennet.errors import require
from lnlattennet.runtimes._base import (
    Available,
    BackendInfo,
    BuildSpec,
    EngineFile,
    Runner,
    Unavailable,
    installed,
)
from lnlattennet.runtimes._machine import features_used
from lnlattennet.runtimes._precision import PrecisionPlan
from lnlattennet.runtimes._requirements import Requirements

INFO = BackendInfo(name="torch", complexity=4, packages={"torch": ()})


def availability() -> Available | Unavailable:
    """Return whether torch is installed, without importing it."""
    return installed("torch", "safetensors", extra="export")


def unsupported_reason(plan: PrecisionPlan) -> str | None:
    """Return why torch cannot run the plan: it has one precision, fp32 or bf16, on a GPU also fp16."""
    from lnlattennet.runtimes.torch._network import unsupported_precisions

    return unsupported_precisions("torch", plan)


def build(onnx_path: Path, spec: BuildSpec) -> EngineFile:
    """Write the checkpoint with its weights in the plan's precision; the ONNX file is not needed."""
    from lnlattennet.model._checkpoint import load_checkpoint, save_checkpoint
    from lnlattennet.runtimes.torch import _network as torch_network

    checkpoint = load_checkpoint(spec.checkpoint)
    device = torch_network.device_here()
    dtype = torch_network.DTYPES[spec.plan.precision]
    path = spec.directory / f"torch-{spec.plan.precision}.safetensors"
    save_checkpoint(path, checkpoint.network().to(dtype), checkpoint.info)
    network = torch_network.engine_network(checkpoint.network(), dtype, device)
    requires = Requirements(
        device="cuda" if device == "cuda" else "cpu",
        packages={"torch": ">=2.10", "safetensors": ">=0.5"},
        cpu_features=features_used(spec.plan) if device == "cpu" else [],
    )
    return EngineFile(path, requires, torch_network.layer_precisions(network, spec.image_size))


def load(engine_file: Path, threads: int = 0) -> Runner:
    """Load the network on the GPU if there is one, else on the CPU; it computes in its weights' type.

    Raises:
        CheckpointError: the file is not a whole checkpoint of this network.
        UnavailableError: torch is not installed.
    """
    require("torch", "export")
    from lnlattennet.model._checkpoint import load_checkpoint
    from lnlattennet.runtimes.torch import _network as torch_network

    torch_network.use_threads(threads)
    checkpoint = load_checkpoint(engine_file)
    device = torch_network.device_here()
    dtype = checkpoint.weights["fusion.weight"].dtype
    network = torch_network.engine_network(checkpoint.network(), dtype, device)
    # Several threads may call it: nothing in the network changes while it runs.
    return partial(torch_network.run_on_arrays, network, device)
