"""Names of inner models by version, so that a server can have two versions loaded at once.

Public models keep their names: loading one again replaces it at once, and each request is answered by the
steps that its ensemble named when it came. So no answer is made by steps of two versions.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from lnlattennet.serving.triton._model_names import ENGINE_MODEL, ENGINE_STEP, KEPT_MODELS


def name_inner_models(configs: MutableMapping[str, Any], number: int) -> dict[str, str]:
    """Name the inner models of a version: plainly in the first, with the version's number in others.

    Args:
        configs: name of each model -> its configuration, which is changed.
        number: the version's.

    Returns:
        Name that an inner model had -> its name.
    """
    _separate_engine(configs)
    plain = {name: name for name in configs if name not in KEPT_MODELS}
    numbered = plain if number == 1 else {name: f"{name}_{number}" for name in plain}
    _rename(configs, numbered)
    return {ENGINE_MODEL if old == ENGINE_STEP else old: new for old, new in numbered.items()}


def _separate_engine(configs: MutableMapping[str, Any]) -> None:
    """Give the engine, if it is a step of ensembles, another name as a step: clients may ask for it."""
    if not any(ENGINE_MODEL in _steps(config) for config in configs.values()):
        return
    _rename(configs, {ENGINE_MODEL: ENGINE_STEP})
    engine = configs[ENGINE_STEP]
    alone = type(engine)(name=ENGINE_MODEL, platform="ensemble", max_batch_size=engine.max_batch_size)
    alone.input.extend(engine.input)
    alone.output.extend(engine.output)
    step = alone.ensemble_scheduling.step.add(model_name=ENGINE_STEP, model_version=-1)
    step.input_map.update({tensor.name: tensor.name for tensor in alone.input})
    step.output_map.update({tensor.name: tensor.name for tensor in alone.output})
    configs[ENGINE_MODEL] = alone


def _rename(configs: MutableMapping[str, Any], names: Mapping[str, str]) -> None:
    for old, config in list(configs.items()):
        for step in config.ensemble_scheduling.step:
            step.model_name = names.get(step.model_name, step.model_name)
        config.name = names.get(old, old)
        configs[config.name] = configs.pop(old)


def _steps(config: Any) -> set[str]:
    return {step.model_name for step in config.ensemble_scheduling.step}
