"""The checkpoint's own answers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from lnlattennet.errors import CheckpointError
from lnlattennet.export.gate._verification import torch_reference
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._network import LNLAttenNet

CONFIG = NetworkConfig(image_size=16, widths=(4,), channels=4, local_features=3, affinity_features=3, grid=2)


def test_every_image_is_answered_on_its_own() -> None:
    torch.manual_seed(0)
    network = LNLAttenNet(CONFIG).eval()
    faces = np.random.default_rng(0).standard_normal((5, 3, 16, 16)).astype(np.float32)
    shapes: list[torch.Size] = []
    network.register_forward_pre_hook(lambda _, inputs: shapes.append(inputs[0].shape))
    answers = torch_reference(network)(faces)
    assert shapes == [torch.Size((1, 3, 16, 16))] * 5
    assert {name: array.shape for name, array in answers.items()} == {
        "logits": (5, CONFIG.classes),
        "region_weights": (5, 4),
        "region_affinity": (5, 4, 4),
    }
    assert all(array.dtype == np.float32 for array in answers.values())


def test_a_checkpoint_without_finite_outputs_is_refused() -> None:
    network = LNLAttenNet(CONFIG).eval()
    with torch.no_grad():
        network.fusion.bias[0] = torch.nan
    with pytest.raises(CheckpointError, match="logits must be finite, but is not for face 0"):
        torch_reference(network)(np.zeros((1, 3, 16, 16), np.float32))


def test_the_gate_is_imported_without_torch() -> None:
    modules = "lnlattennet.export.gate._verification, lnlattennet.data._labeled"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
