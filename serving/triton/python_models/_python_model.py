"""Base of the models in triton_repo that Triton's python backend runs.

It converts tensors and errors; the stages compute (see ``_stages``). Triton creates one object per model
instance, each in a process of its own (a "stub"), so what this module imports costs every one of them.
"""

from __future__ import annotations

import abc
import importlib
import json
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lnlattennet.errors import EngineOutputError, ImageError, UsageError
from lnlattennet.serving.triton._model_names import UNCOUNTED
from lnlattennet.serving.triton._pulse import Pulse
from lnlattennet.serving.triton.python_models._answer_counts import AnswerCounts
from lnlattennet.serving.triton.python_models._process_settings import set_up_process
from lnlattennet.serving.triton.python_models._stages import Arrays, Stage, each, forget_frames, run_stages


class PythonModel(abc.ABC):
    """A Triton model that runs a chain of stages; a subclass lists them."""

    @abc.abstractmethod
    def stages(self, config: Mapping[str, Any], folder: Path) -> Sequence[Stage]:
        """Return the stages, with everything loaded that they need.

        Args:
            config: the model's configuration.
            folder: the folder that holds it.
        """

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the stages; an exception here stops the model from loading."""
        set_up_process()
        # The module exists only inside the server's stub process.
        self._triton: Any = importlib.import_module("triton_python_backend_utils")
        config = json.loads(args["model_config"])
        self._name: str = config["name"]
        self._inputs: list[str] = [tensor["name"] for tensor in config["input"]]
        outputs = [tensor["name"] for tensor in config["output"]]
        class_names = json.loads(config["parameters"]["class_names"]["string_value"])
        self._stages = [each(self.read), *self.stages(config, Path(args["model_repository"]))]
        self._counts = AnswerCounts(self._triton, self._name, outputs, class_names)
        self._pulse = Pulse()

    def finalize(self) -> None:
        """Stop counting."""
        self._counts.close()
        self._pulse.close()

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer every request, each with its own tensors or its own error."""
        canceled = [request.is_cancelled() for request in requests]
        wanted = [request for request, gone in zip(requests, canceled, strict=True) if not gone]
        with self._pulse.work():
            outcomes = run_stages(self._stages, wanted)
            remaining = iter(outcomes)
            responses = [
                self._canceled() if gone else self._respond(request, next(remaining))
                for request, gone in zip(requests, canceled, strict=True)
            ]
            forget_frames(outcomes)
            return responses

    def read(self, request: Any) -> Any:
        """Return the input tensors of a request, as ``Arrays``, for the first stage."""
        find = self._triton.get_input_tensor_by_name
        found = {name: find(request, name) for name in self._inputs}
        return {name: tensor.as_numpy() for name, tensor in found.items() if tensor is not None}

    def _respond(self, request: Any, outcome: Arrays | Exception) -> Any:
        if isinstance(outcome, Exception):
            return self._triton.InferenceResponse(error=self._error(outcome))
        names = request.requested_output_names()
        if missing := sorted(set(names) - outcome.keys()):
            return self._triton.InferenceResponse(
                error=self._error(UsageError(f"{self._name} cannot answer {missing[0]!r} to these inputs"))
            )
        if UNCOUNTED not in request.parameters():
            self._counts.add(outcome)
        # The backend copies raw buffers, so each must be contiguous.
        tensors = [self._triton.Tensor(name, np.ascontiguousarray(outcome[name])) for name in names]
        return self._triton.InferenceResponse(output_tensors=tensors)

    def _error(self, error: Exception) -> Any:
        if isinstance(error, ImageError | UsageError):
            return self._triton.TritonError(str(error), self._triton.TritonError.INVALID_ARG)
        # A client must not learn paths or code; the person who runs the server needs both.
        self._triton.Logger.log_error(f"{self._name}: " + "".join(traceback.format_exception(error)))
        if isinstance(error, EngineOutputError):
            return self._triton.TritonError(str(error))
        return self._triton.TritonError(f"internal error in {self._name}; the server's log has the details")

    def _canceled(self) -> Any:
        error = self._triton.TritonError("the request was canceled", self._triton.TritonError.CANCELLED)
        return self._triton.InferenceResponse(error=error)
