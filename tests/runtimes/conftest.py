"""The small network's graph in every precision, and engines built from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from lnlattennet.export.precision._apply import apply_plan
from lnlattennet.export.precision._calibration import activation_ranges
from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.runtimes._base import Arrays, BuildSpec, EngineFile
from lnlattennet.runtimes._precision import PrecisionPlan
from lnlattennet.runtimes._registry import backend_named
from tests.runtimes.engines import BATCH, BuildEngine, faces


@pytest.fixture(scope="module")
def build_engine(
    small_standard: onnx.ModelProto, checkpoint_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> BuildEngine:
    """Build an engine of a backend and a plan, as an export does; int8 is calibrated on faces of seed 1.

    Its folder's name has a space, a line end and a letter that is not ASCII.
    """

    def build(backend: str, plan: PrecisionPlan) -> EngineFile:
        directory = tmp_path_factory.mktemp(f"{backend} in\n{plan.precision} é")
        ranges = (
            activation_ranges(small_standard, faces(20, 1), "minmax") if "int8" in plan.precisions else {}
        )
        graph = directory / "model.onnx"
        onnx.save_model(apply_plan(small_standard, plan, ranges), str(graph))
        return backend_named(backend).build(graph, BuildSpec(directory, BATCH, 48, plan, checkpoint_path))

    return build


@pytest.fixture(scope="module")
def reference(checkpoint_path: Path) -> Arrays:
    """Outputs of the checkpoint for ``faces(8)`` in torch, one face at a time."""
    import torch

    network = load_checkpoint(checkpoint_path).network()
    with torch.inference_mode():
        answers = [network(torch.from_numpy(face)[None]) for face in faces(8)]
    return {name: np.concatenate([getattr(a, name).numpy() for a in answers]) for name in answers[0]._fields}
