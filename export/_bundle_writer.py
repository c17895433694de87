"""Writes what a bundle says of itself: manifest, reports and the precision plans that were found."""

from __future__ import annotations

import datetime
import resource
from pathlib import Path
from typing import Any

from lnlattennet import __version__
from lnlattennet.bundle._bundle import hash_file
from lnlattennet.bundle._manifest import MANIFEST_NAME, SCHEMA_VERSION, FileRecord, LeftOut, Manifest
from lnlattennet.export._engine_builder import Candidate
from lnlattennet.export._options import ExportOptions
from lnlattennet.export.report import report_document, write_reports
from lnlattennet.export.selection._strategy import Selection
from lnlattennet.model._checkpoint import Checkpoint
from lnlattennet.runtimes._precision import PrecisionPlan

PLAN_NAME = "precision-plan.json"


def publish(
    checkpoint: Checkpoint,
    checkpoint_sha256: str,
    options: ExportOptions,
    kept: list[Candidate],
    left_out: list[LeftOut],
    selection: Selection,
    verification: dict[str, Any],
    folder: Path,
) -> dict[str, Any]:
    """Write everything but the engines into ``folder``; return the report (what `report.json` holds)."""
    _write_plans(kept, folder)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=list(options.command),
        toolkit_version=__version__,
        checkpoint_sha256=checkpoint_sha256,
        provenance=checkpoint.info.provenance,
        class_names=list(checkpoint.info.class_names),
        preprocessing=checkpoint.info.preprocessing,
        network=checkpoint.info.config.to_dict(),
        engines=[candidate.record for candidate in kept],
        left_out=left_out,
        verification=verification | {"peak_memory_mb": _peak_memory()},
        selected=selection.name,
        selected_because=selection.because,
        files=_hashes(folder),
    )
    document = report_document(manifest, {candidate.record.name: candidate.samples for candidate in kept})
    write_reports(folder, document)
    text = manifest.model_copy(update={"files": _hashes(folder)}).model_dump_json(indent=2)
    (folder / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")
    return document


def _hashes(folder: Path) -> dict[str, FileRecord]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in files}


def _write_plans(kept: list[Candidate], folder: Path) -> None:
    """Leave the plan of every engine that is not fp32 beside it, to be given back as --precision-plan."""
    for candidate in kept:
        plan = PrecisionPlan(candidate.record.plan)
        if plan.precision != "fp32":
            (folder / "engines" / candidate.record.name / PLAN_NAME).write_text(plan.to_json())


def _peak_memory() -> float:
    """Return megabytes; only of this process: what Linux keeps of children includes their parent's peak."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
