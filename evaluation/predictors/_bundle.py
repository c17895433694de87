"""Predictor of a bundle's engine, in its own runtime and without torch."""

from __future__ import annotations

from pathlib import Path

from lnlattennet._command import printable
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.evaluation.predictors._base import Faces, Predictor, in_batches
from lnlattennet.runtimes._base import Arrays


def bundle_predictor(path: Path, engine: str | None = None) -> Predictor:
    """Verify a bundle and load one of its engines; None takes the selected one, "any" one that runs.

    Raises:
        BundleError: the bundle is damaged or has no engine of that name.
        UnavailableError: the engine's runtime cannot run it here.
    """
    bundle = Bundle.load(path)
    manifest = bundle.manifest
    record = manifest.engine(bundle.engine_name(engine))
    engine_run = bundle.engine(record.name)

    def run(faces: Faces) -> Arrays:
        return engine_run(manifest.preprocessing.normalize(faces))

    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return Predictor(
        class_names=tuple(manifest.class_names),
        preprocessing=manifest.preprocessing,
        grid=manifest.grid,
        description={
            "kind": "bundle",
            "name": printable(path.resolve().name),
            "engine": record.name,
            "engine_sha256": manifest.files[record.file].sha256,
            "checkpoint_sha256": manifest.checkpoint_sha256,
            "runtime": f"{record.backend}, {record.precision}, built with {versions}",
        },
        temperature=manifest.provenance.get("temperature"),
        predict=in_batches(run),
        provenance=manifest.provenance,
    )
