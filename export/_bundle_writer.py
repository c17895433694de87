"""Output of an export: the check of its folder, and the manifest, reports and precision plans in it."""

from __future__ import annotations

import datetime
import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lnlattennet import __version__
from lnlattennet.bundle._bundle import hash_file
from lnlattennet.bundle._files import MANIFEST_NAME
from lnlattennet.bundle._manifest import (
    SCHEMA_VERSION,
    FileRecord,
    Manifest,
    SkippedEngine,
    VerificationRecord,
)
from lnlattennet.errors import BundleError, UsageError
from lnlattennet.export._candidate import Candidate
from lnlattennet.export.report._document import report_document
from lnlattennet.export.report._html import write_reports
from lnlattennet.export.selection._strategy import Selection
from lnlattennet.runtimes._precision import PrecisionPlan

if TYPE_CHECKING:
    from lnlattennet.export._plan import ExportPlan

PLAN_NAME = "precision-plan.json"


def check_output(output: Path, *, force: bool) -> None:
    """Refuse an output that would overwrite something, before any work is done.

    Raises:
        BundleError: ``output`` lies where nothing can be written.
        UsageError: it exists without ``force``, is not a bundle, or holds the current folder.
    """
    try:
        absolute = output.resolve()
        absolute.exists()
    except (OSError, RuntimeError) as error:
        raise UsageError(f"-o {output} cannot be a folder: {error}; choose another") from error
    if Path.cwd().is_relative_to(absolute):
        raise UsageError(f"-o {output} is the current folder or holds it; choose a folder of its own")
    parent = next(folder for folder in absolute.parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise BundleError(f"-o {output}: {parent} is not a folder that can be written to; choose another")
    empty = absolute.is_dir() and os.access(absolute, os.R_OK) and not any(absolute.iterdir())
    if absolute.exists() and not empty:
        if not (absolute / MANIFEST_NAME).is_file():
            raise UsageError(f"-o {output} exists and is not a bundle; choose another folder")
        if not force:
            raise UsageError(f"-o {output} is a bundle already; pass --force to replace it")


@contextmanager
def write_errors(output: Path) -> Iterator[None]:
    """Turn the operating system's refusals during an export into an error that says what to do."""
    try:
        yield
    except OSError as error:
        if (file := _file_elsewhere(error, output.resolve())) is not None:
            raise BundleError(
                f"{file} cannot be used ({error.strerror or error}), so -o {output} was not written; mend "
                "that, and export again"
            ) from error
        reason = f" cannot be written ({error.strerror or error}); choose another folder"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            full = f": the disk is full ({error.strerror})"
            reason = f"{full}; nothing was written, free space or choose another folder"
        raise BundleError(f"-o {output}{reason}") from error


def _file_elsewhere(error: OSError, output: Path) -> Path | None:
    """Return the file of an error, unless it is the output, in it, or drafted beside it."""
    if not isinstance(error.filename, str | bytes | os.PathLike):
        return None
    path = Path(os.fsdecode(error.filename)).absolute()
    if path in output.parents:
        return None
    beside = path.relative_to(output.parent).parts[0] if path.is_relative_to(output.parent) else ""
    return None if beside == output.name or beside.startswith(f".{output.name}.") else path


def write_bundle(
    plan: ExportPlan,
    candidates: list[Candidate],
    skipped: list[SkippedEngine],
    selection: Selection,
    verification: VerificationRecord,
    folder: Path,
) -> dict[str, Any]:
    """Write everything but the engines into ``folder``; return the report (what `report.json` holds)."""
    info = plan.checkpoint.info
    for candidate in candidates:
        precisions = PrecisionPlan(candidate.record.plan)
        # Beside the engine, so that it can be passed as --precision-plan.
        if precisions.precision != "fp32":
            (folder / "engines" / candidate.name / PLAN_NAME).write_text(precisions.to_json())
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        options=plan.options,
        toolkit_version=__version__,
        checkpoint_sha256=plan.checkpoint_sha256,
        provenance=info.provenance,
        license=info.license,
        class_names=list(info.class_names),
        preprocessing=info.preprocessing,
        network=info.config.to_dict(),
        engines=[candidate.record for candidate in candidates],
        skipped=skipped,
        verification=verification,
        selected=selection.name,
        selected_because=selection.because,
        files=_hashes(folder, sorted(path for path in folder.rglob("*") if path.is_file())),
    )
    report = report_document(manifest, {candidate.name: candidate.samples for candidate in candidates})
    # The reports give the sizes of the other files, and are themselves files of the bundle.
    manifest.files.update(_hashes(folder, write_reports(folder, report)))
    (folder / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return report


def _hashes(folder: Path, files: Iterable[Path]) -> dict[str, FileRecord]:
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in files}
