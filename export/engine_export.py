"""The whole export: checkpoint -> ONNX -> engines -> gate -> timing -> bundle, all or nothing."""

from __future__ import annotations

import datetime
import errno
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lnlattennet import __version__
from lnlattennet.atomic import replace_folder
from lnlattennet.command import stderr
from lnlattennet.errors import BundleError, ExportError
from lnlattennet.export.backends.base import Available, BuildSpec
from lnlattennet.export.bundle import hash_file
from lnlattennet.export.candidates import (
    Candidate,
    build_candidate,
    chosen_backends,
    gate_candidate,
    select_fastest,
    time_candidates,
)
from lnlattennet.export.gate import Tolerances, batch_sizes, torch_reference
from lnlattennet.export.images import verification_faces
from lnlattennet.export.manifest import MANIFEST_NAME, SCHEMA_VERSION, FileRecord, Manifest, Skipped
from lnlattennet.export.onnx_export import export_onnx
from lnlattennet.export.options import ExportOptions
from lnlattennet.export.report import report_document, write_reports
from lnlattennet.model.checkpoint import Checkpoint, load_checkpoint

_log = logging.getLogger(__name__)


def plan_export(options: ExportOptions) -> dict[str, Any]:
    """Check everything that can be checked without building, and say what an export would do."""
    check_output(options.output, force=options.force)
    usable, skipped = chosen_backends(options.backends)
    checkpoint = load_checkpoint(options.checkpoint, allow_pickle=options.allow_pickle)
    return {
        "checkpoint": str(options.checkpoint),
        "output": str(options.output),
        "class_names": list(checkpoint.info.class_names),
        "batch": str(options.batch),
        "verified_batches": batch_sizes(options.batch),
        "build": [
            {"backend": name, "versions": available.versions, "cannot_run": available.cannot_run}
            for name, available in usable.items()
        ],
        "skip": [skip.model_dump() for skip in skipped],
        "atol": dict(options.atol),
        "rtol": dict(options.rtol),
    }


def export_engine(options: ExportOptions) -> dict[str, Any]:
    """Write a bundle to ``options.output`` and return its report (what `report.json` holds).

    Raises:
        CheckpointError, UnavailableError, UsageError: before anything is built.
        BundleError: the output exists, or cannot be written.
        GateError: no engine passed; nothing was written.
    """
    check_output(options.output, force=options.force)
    usable, skipped = chosen_backends(options.backends)
    checkpoint = load_checkpoint(options.checkpoint, allow_pickle=options.allow_pickle)
    source = hash_file(options.checkpoint)
    with _write_errors(options.output), replace_folder(options.output.resolve()) as folder:
        built, not_built = _build(checkpoint, options, usable, folder)
        kept, not_passed = _gate_and_time(checkpoint, options, built, folder)
        left_out = [*skipped, *not_built, *not_passed]
        document = _publish(checkpoint, source, options, kept, left_out, folder)
    _log.info("wrote %s: %s serves, %s", options.output, document["selected"], document["selected_because"])
    return document


def check_output(output: Path, *, force: bool) -> None:
    """Refuse an output that would overwrite something, before any work is done.

    Raises:
        BundleError: ``output`` exists without ``force``, is not a bundle, holds the current folder, or lies
            where nothing can be written.
    """
    whole = output.resolve()
    if Path.cwd().is_relative_to(whole):
        raise BundleError(f"-o {output} is the current folder or holds it; choose a folder of its own")
    parent = next(folder for folder in whole.parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise BundleError(f"-o {output}: {parent} is not a folder that can be written to; choose another")
    if whole.exists() and not (whole.is_dir() and os.access(whole, os.R_OK) and not any(whole.iterdir())):
        if not (whole / MANIFEST_NAME).is_file():
            raise BundleError(f"-o {output} exists and is not a bundle; choose another folder")
        if not force:
            raise BundleError(f"-o {output} is a bundle already; pass --force to replace it")


def _build(
    checkpoint: Checkpoint, options: ExportOptions, usable: dict[str, Available], folder: Path
) -> tuple[list[Candidate], list[Skipped]]:
    onnx_path = folder / "model.onnx"
    with stderr.status("exporting ONNX"):
        export_onnx(checkpoint, onnx_path, options.batch)
    built, failed = [], []
    for name, available in usable.items():
        spec = BuildSpec(_engine_folder(folder, name), options.batch, checkpoint.info.config.image_size)
        try:
            built.append(build_candidate(name, available, onnx_path, spec))
        except ExportError as error:
            failed.append(_left_out(name, str(error), folder))
    return built, failed


def _gate_and_time(
    checkpoint: Checkpoint, options: ExportOptions, built: list[Candidate], folder: Path
) -> tuple[list[Candidate], list[Skipped]]:
    with stderr.status("computing the reference in torch"):
        faces = verification_faces(options.batch.maximum + 8, checkpoint.info.preprocessing)
        reference = torch_reference(checkpoint.network())(faces)
    tolerances = Tolerances(options.atol, options.rtol)
    kept, failed = [], []
    for candidate in built:
        try:
            gate_candidate(candidate, reference, faces, options.batch, tolerances)
            kept.append(candidate)
        except ExportError as error:
            failed.append(_left_out(candidate.record.backend, str(error), folder))
    time_candidates(kept, faces, options.batch)
    return kept, failed


def _left_out(backend: str, reason: str, folder: Path) -> Skipped:
    """Keep an engine out of the bundle; model.onnx stays, it is the source of all and not an engine."""
    _log.error("%s: %s", backend, reason)
    shutil.rmtree(_engine_folder(folder, backend), ignore_errors=True)
    return Skipped(backend=backend, reason=reason)


def _engine_folder(folder: Path, backend: str) -> Path:
    return folder / "engines" / backend


def _publish(
    checkpoint: Checkpoint,
    source: FileRecord,
    options: ExportOptions,
    kept: list[Candidate],
    skipped: list[Skipped],
    folder: Path,
) -> dict[str, Any]:
    selected, because = select_fastest(kept, skipped, options.batch)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=list(options.command),
        toolkit_version=__version__,
        checkpoint_sha256=source.sha256,
        provenance=checkpoint.info.provenance,
        class_names=list(checkpoint.info.class_names),
        preprocessing=checkpoint.info.preprocessing,
        network=checkpoint.info.config.to_dict(),
        engines=[candidate.record for candidate in kept],
        skipped=skipped,
        selected=selected,
        selected_because=because,
        files={},
    )
    document = report_document(manifest, kept)
    write_reports(folder, document)
    files = {
        path.relative_to(folder).as_posix(): hash_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    text = manifest.model_copy(update={"files": files}).model_dump_json(indent=2)
    (folder / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")
    return document


@contextmanager
def _write_errors(output: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into an error that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise BundleError(
                f"-o {output}: the disk is full ({error.strerror}); nothing was written, free space or "
                "choose another folder"
            ) from error
        reason = f"cannot be written ({error.strerror}); choose another folder"
        raise BundleError(f"-o {output} {reason}") from error
