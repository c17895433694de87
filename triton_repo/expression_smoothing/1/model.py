"""Probabilities of a stream's frames, smoothed over time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.serving.triton._python_model import PythonModel
from lnlattennet.serving.triton._smoothing import END, START, STREAM_ID, SmoothingStep
from lnlattennet.serving.triton._stages import Arrays, Stage, each


class TritonPythonModel(PythonModel):
    """One instance: it holds the state of every stream."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read how long a stream lives and how fast it forgets."""
        config = json.loads(args["model_config"])
        self._time_constant = float(config["parameters"]["time_constant"]["string_value"])
        self._idle = int(config["sequence_batching"]["max_sequence_idle_microseconds"]) / 1e6
        super().initialize(args)

    def stages(self, bundle: Bundle) -> list[Stage]:
        """Smooth each frame; Triton gives at most one of a stream at a time."""
        return [each(SmoothingStep(bundle.manifest.class_names, self._time_constant, self._idle))]

    def read(self, request: Any) -> Arrays:
        """Return the inputs, and what the sequence batcher adds to them."""
        find = self._triton.get_input_tensor_by_name
        controls = {name: find(request, name).as_numpy() for name in (START, END, STREAM_ID)}
        return {**super().read(request), **controls}
