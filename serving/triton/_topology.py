"""Steps of the ensembles: three where the server has a backend for the engine, else one.

triton_repo/ has the three: the pipeline makes faces, the engine runs in the server's backend, and a third
model checks and names. Where the pipeline runs the engine anyway, it does all of that in one step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from lnlattennet.model._io_spec import INPUT_NAME, OUTPUT_NAMES
from lnlattennet.serving.triton._model_names import ANSWER, ENGINE_MODEL, FACE, PIPELINE

Topology = Literal["ensemble", "fused"]
"""Whether the ensembles run the engine as a step of its own."""

_FUSED = (PIPELINE, ENGINE_MODEL, ANSWER)


def fuse_steps(configs: Mapping[str, Any]) -> None:
    """Let one step of the pipeline do the work of the ensembles' steps up to the answer.

    Args:
        configs: name of each model -> its configuration, which is changed.
    """
    inputs = {tensor.name for tensor in configs[PIPELINE].input}
    for config in configs.values():
        steps = list(config.ensemble_scheduling.step)
        later = [step for step in steps if step.model_name not in _FUSED]
        if len(steps) - len(later) > 1:
            _fuse(config, inputs, later)


def _fuse(config: Any, inputs: set[str], later: list[Any]) -> None:
    config.ClearField("ensemble_scheduling")
    asked = {tensor.name for tensor in config.output}
    asked |= {tensor for step in later for tensor in step.input_map.values()}
    given = {tensor for step in later for tensor in step.output_map.values()}
    given |= {tensor.name for tensor in config.input}
    names = inputs.intersection(tensor.name for tensor in config.input)
    _add_pipeline(config, {name: name for name in names}, {name: name for name in asked - given})
    config.ensemble_scheduling.step.extend(later)


def make_step_of_pipeline(config: Any) -> None:
    """Turn the engine model's configuration into one step of the pipeline, which has the engine loaded."""
    for field in ("backend", "instance_group", "dynamic_batching", "model_warmup"):
        config.ClearField(field)
    config.platform = "ensemble"
    _add_pipeline(config, {FACE: INPUT_NAME}, {name: name for name in OUTPUT_NAMES})


def _add_pipeline(config: Any, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    step = config.ensemble_scheduling.step.add(model_name=PIPELINE, model_version=-1)
    step.input_map.update(inputs)
    step.output_map.update(outputs)
