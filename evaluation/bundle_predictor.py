"""An engine of a bundle as a predictor, in its own runtime and without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lnlattennet.evaluation.predictors import (
    BATCH,
    Faces,
    Predictions,
    Predictor,
    in_batches,
    stored_temperature,
)
from lnlattennet.export.backends.base import Runner
from lnlattennet.export.bundle import Bundle
from lnlattennet.model.names import INPUT_NAME
from lnlattennet.model.preprocessing import Preprocessing


def bundle_predictor(path: Path, engine: str | None = None) -> Predictor:
    """Verify a bundle and load one of its engines; None takes the selected one.

    Raises:
        BundleError: no whole bundle, or no engine of that name.
        UnavailableError: the engine's runtime cannot run it here.
    """
    bundle = Bundle.load(path)
    manifest = bundle.manifest
    record = manifest.engine(engine or manifest.selected)
    smallest, _, largest = record.batch
    run = _EngineRun(bundle.runner(record.name), manifest.preprocessing, smallest)
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return Predictor(
        class_names=tuple(manifest.class_names),
        recipe=manifest.preprocessing,
        grid=manifest.grid,
        description={
            "kind": "bundle",
            "name": path.resolve().name,
            "engine": record.name,
            "engine_sha256": manifest.files[record.file].sha256,
            "checkpoint_sha256": manifest.checkpoint_sha256,
            "runtime": f"{record.backend}, {record.precision}, built with {versions}",
        },
        temperature=stored_temperature(manifest.provenance),
        predict=in_batches(run, min(largest, BATCH)),
    )


class _EngineRun:
    def __init__(self, run: Runner, recipe: Preprocessing, smallest: int) -> None:
        self._run = run
        self._recipe = recipe
        self._smallest = smallest

    def __call__(self, faces: Faces) -> Predictions:
        # Some engines have a smallest batch; answers do not depend on the neighbours that fill it up.
        missing = max(0, self._smallest - len(faces))
        images = np.pad(self._recipe.normalize(faces), ((0, missing), (0, 0), (0, 0), (0, 0)))
        outputs = self._run({INPUT_NAME: images})
        return Predictions(outputs["logits"][: len(faces)], outputs["region_weights"][: len(faces)])
