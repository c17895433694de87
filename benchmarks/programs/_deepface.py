"""DeepFace's network for expressions: where it lies, and one of random weights that takes its place."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path

from lnlattennet.errors import require

_FILE = Path(".deepface", "weights", "facial_expression_model_weights.onnx")
"""Where DeepFace looks for its network, below its home."""


def deepface_home() -> Path:
    """Return the folder that DeepFace takes as its home."""
    return Path(os.environ.get("DEEPFACE_HOME", Path.home()))


def has_network(home: Path) -> bool:
    """Tell whether DeepFace finds its network below ``home``, so that it downloads nothing."""
    return Path(home, _FILE).is_file()


def write_untrained_network(home: Path) -> None:
    """Write a network with the layers of DeepFace's and random weights to where DeepFace looks for its own.

    Such a network takes the same time whatever its weights are, so that DeepFace's time can be measured with
    it; its answers mean nothing. Layers: `deepface/models/demography/pytorch/Emotion.py` of DeepFace 0.0.103.

    Raises:
        UnavailableError: torch is not installed.
    """
    torch = require("torch", "export")
    nn = torch.nn
    # DeepFace's graph takes gray faces [B, 48, 48, 1], which have the same order in memory as [B, 1, 48, 48].
    network = nn.Sequential(
        *(nn.Flatten(), nn.Unflatten(1, (1, 48, 48))),
        *(nn.Conv2d(1, 64, 5), nn.ReLU(), nn.MaxPool2d(5, 2)),
        *(nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.AvgPool2d(3, 2)),
        *(nn.Conv2d(64, 128, 3), nn.ReLU(), nn.Conv2d(128, 128, 3), nn.ReLU(), nn.AvgPool2d(3, 2)),
        *(nn.Flatten(), nn.Linear(128, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU()),
        *(nn.Linear(1024, 7), nn.Softmax(1)),
    )
    path = Path(home, _FILE)
    path.parent.mkdir(parents=True)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Deprecations inside torch's exporter say nothing about this network.
        warnings.simplefilter("ignore")
        face = torch.zeros(1, 48, 48, 1)
        torch.onnx.export(network.eval(), (face,), path, dynamo=True, verbose=False, external_data=False)
