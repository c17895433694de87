"""Probabilities of a stream's frames, smoothed over time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lnlattennet.serving.triton.python_models._python_model import PythonModel
from lnlattennet.serving.triton.python_models._smoothing import SmoothingStep
from lnlattennet.serving.triton.python_models._stages import Stage, each


class TritonPythonModel(PythonModel):
    """One instance: it holds the state of every stream."""

    def stages(self, config: Mapping[str, Any], folder: Path) -> list[Stage]:
        """Smooth each frame; Triton gives at most one of a stream at a time."""
        parameters = {name: value["string_value"] for name, value in config["parameters"].items()}
        batching = config["sequence_batching"]
        # What the sequence batcher adds to a request is read as the inputs are.
        self._inputs += [control["name"] for control in batching["control_input"]]
        idle = int(batching["max_sequence_idle_microseconds"]) / 1e6
        names = json.loads(parameters["class_names"])
        return [each(SmoothingStep(names, float(parameters["time_constant"]), idle))]
