"""What a served model states about itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import ServingError
from lnlattennet.serving.triton._model_names import ENSEMBLE, FUSED, LABEL


@dataclass(frozen=True)
class ModelDescription:
    """Facts that a served model states about itself.

    Attributes:
        class_names: in the order of the logits.
        grid: g; the face has g * g regions.
        license: note on the license of the training data; "" if the server has none.
        model_hash: ``Manifest.model_hash`` of the engine that serves; "" if an older version serves.
        preprocessing_id: ``Preprocessing.id`` of the bundle; "" likewise.
        max_batch_size: maximum number of images per request.
        parameters: every parameter of its configuration: name -> text.
        version: version of the deployment; "" if the server has no versions.
    """

    class_names: list[str]
    grid: int
    license: str
    model_hash: str
    preprocessing_id: str
    max_batch_size: int
    parameters: dict[str, str]
    version: str = ""

    def fits(self, outputs: Mapping[str, NDArray[Any]]) -> bool:
        """Whether the model gave these outputs: as many classes and regions, and the labels of its own."""
        logits, weights = outputs["logits"], outputs["region_weights"]
        if (logits.shape[-1:], weights.shape[-1:]) != ((len(self.class_names),), (self.grid**2,)):
            return False
        labels = outputs.get(LABEL)
        names = np.array([name.encode() for name in self.class_names], np.object_)
        return labels is None or bool((labels.ravel() == names[logits.argmax(-1).ravel()]).all())


def read_description(model: str, config: Mapping[str, Any]) -> ModelDescription:
    """Return what the configuration of ``model`` states.

    Raises:
        ServingError: it is not one that this package serves.
    """
    try:
        parameters = {name: str(value["string_value"]) for name, value in config["parameters"].items()}
        names = json.loads(parameters["class_names"])
        grid = int(parameters["grid"])
        # A model without batching states a maximum batch size of 0.
        largest = max(1, int(config.get("max_batch_size", 0)))
        if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
            raise ValueError("class_names is no list of texts")
        if grid < 1:
            raise ValueError("grid is no number of regions")
        note, model_hash, preprocessing_id = (
            str(json.loads(parameters.get(name, '""')))
            for name in ("license", "model_hash", "preprocessing_id")
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ServingError(
            f"model {model!r} has no usable parameters class_names and grid, so it is not one that "
            f"`lnlattennet serve BUNDLE` serves; ask for {ENSEMBLE!r} or {FUSED!r}"
        ) from error
    version = parameters.get("version", "")
    return ModelDescription(names, grid, note, model_hash, preprocessing_id, largest, parameters, version)
