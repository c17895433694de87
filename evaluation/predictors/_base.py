"""One interface for whatever names expressions: a checkpoint, a bundle's engine, or a live server.

All three get the same prepared faces, so that a difference between their figures is theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import UsageError
from lnlattennet.model._preprocessing import Preprocessing

Faces = NDArray[np.uint8]
"""Prepared faces, RGB [n, S, S, 3]."""

BATCH = 64
"""Most faces that are predicted at once; memory does not grow with the data."""


@dataclass(frozen=True)
class Predictions:
    """What a model says of n faces.

    Attributes:
        logits: float32 [n, classes], in the order of the model's class names.
        region_weights: float32 [n, K], row-major over the face; each row sums to 1.
    """

    logits: NDArray[np.float32]
    region_weights: NDArray[np.float32]


@dataclass(frozen=True)
class Predictor:
    """A model that is ready to predict, for as long as ``open_predictor`` holds it open.

    Attributes:
        class_names: in the order of the logits.
        recipe: how pictures become the faces that ``predict`` takes.
        grid: g; K = g * g regions.
        description: what it is, for a report: kind, name, hashes, runtime.
        temperature: what the logits are to be divided by, if the model brings such a number.
        predict: faces uint8 [n, S, S, 3], n of 1 or more, to logits and region weights.
        notes: what a reader of its figures must know, a sentence each.
        provenance: how its weights came to be, as far as it tells.
    """

    class_names: tuple[str, ...]
    recipe: Preprocessing
    grid: int
    description: dict[str, Any]
    temperature: float | None
    predict: Callable[[Faces], Predictions]
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def open_predictor(
    model: str, engine: str | None = None, *, allow_pickle: bool = False
) -> Iterator[Predictor]:
    """Open a model; on leaving, its connection or session is closed.

    Args:
        model: a checkpoint file, a bundle's folder, or ``grpc://host:port`` or ``http://host:port``.
        engine: of a bundle; None takes the selected one.
        allow_pickle: accept a pickled training checkpoint.

    Raises:
        UsageError: there is no such model, or an engine is named for one that has none to choose from.
        CheckpointError, BundleError, ServingError, UnavailableError: it cannot be used.
    """
    is_server, path = "://" in model, Path(model)
    if engine is not None and (is_server or not path.is_dir()):
        raise UsageError(f"--engine {engine} chooses an engine of a bundle, and {model} is no bundle folder")
    if is_server:
        from lnlattennet.evaluation.predictors._server import server_predictor

        with server_predictor(model) as predictor:
            yield predictor
    elif path.is_dir():
        from lnlattennet.evaluation.predictors._bundle import bundle_predictor

        yield bundle_predictor(path, engine)
    elif path.exists():
        from lnlattennet.evaluation.predictors._checkpoint import checkpoint_predictor

        yield checkpoint_predictor(path, allow_pickle=allow_pickle)
    else:
        raise UsageError(
            f"MODEL must be a checkpoint file, a bundle folder, or a server's grpc://host:port or "
            f"http://host:port; there is nothing at {model}"
        )


def in_batches(run: Callable[[Faces], Predictions], largest: int = BATCH) -> Callable[[Faces], Predictions]:
    """Make a function of any number of faces from one of at most ``largest``."""

    def predict(faces: Faces) -> Predictions:
        parts = [run(faces[start : start + largest]) for start in range(0, len(faces), largest)]
        return Predictions(
            np.concatenate([part.logits for part in parts]),
            np.concatenate([part.region_weights for part in parts]),
        )

    return predict


def stored_temperature(provenance: Mapping[str, Any]) -> float | None:
    """Return the temperature that training stored, or None.

    Raises:
        UsageError: what is stored is no positive number.
    """
    value = provenance.get("temperature")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise UsageError(
            f"the model's stored temperature must be a positive number, got {value!r}; give --temperature"
        )
    return float(value)
