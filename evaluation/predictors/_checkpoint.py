"""Predictor of a checkpoint: the network in torch, in float32."""

from __future__ import annotations

from pathlib import Path

import torch

from lnlattennet._command import printable
from lnlattennet.bundle._bundle import hash_file
from lnlattennet.errors import require
from lnlattennet.evaluation.predictors._base import Faces, Predictor, in_batches, trained_on
from lnlattennet.runtimes._base import Arrays


def checkpoint_predictor(path: Path, *, allow_pickle: bool = False) -> Predictor:
    """Load a checkpoint onto the GPU if there is one, else the CPU.

    Raises:
        CheckpointError: see ``load_checkpoint``.
        UnavailableError: safetensors is not installed.
    """
    require("safetensors", "export")
    from lnlattennet.model._checkpoint import load_checkpoint
    from lnlattennet.model._full_float32 import full_float32

    checkpoint = load_checkpoint(path, allow_pickle=allow_pickle)
    info = checkpoint.info
    loaded = checkpoint.network()
    parameters = sum(parameter.numel() for parameter in loaded.parameters())
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = loaded.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(faces: Faces) -> Arrays:
        images = torch.from_numpy(info.preprocessing.normalize(faces)).to(device)
        with torch.inference_mode(), full_float32():
            outputs = network(images.contiguous(memory_format=torch.channels_last))
        return {name: getattr(outputs, name).cpu().numpy() for name in ("logits", "region_weights")}

    return Predictor(
        class_names=info.class_names,
        preprocessing=info.preprocessing,
        grid=info.config.grid,
        description={
            "kind": "checkpoint",
            "name": printable(path.name),
            "checkpoint_sha256": hash_file(path).sha256,
            "parameters": str(parameters),
            "trained_on": printable(trained_on(info.provenance)),
            "runtime": f"torch {torch.__version__} on {device.type}, float32",
        },
        temperature=info.provenance.get("temperature"),
        predict=in_batches(run),
        provenance=info.provenance,
    )
