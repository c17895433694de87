"""What an export needs before its first engine: the graphs, the activations' ranges, the judges."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import onnx

from lnlattennet.command import stderr
from lnlattennet.export.images import calibration_faces, read_faces
from lnlattennet.export.jobs import Job
from lnlattennet.export.onnx_export import export_onnx
from lnlattennet.export.onnx_inline import inlined
from lnlattennet.export.options import Calibration, ExportOptions
from lnlattennet.export.precision.ranges import Ranges, activation_ranges
from lnlattennet.export.verification import open_verification
from lnlattennet.export.workshop import STANDARD_ONNX, Workshop
from lnlattennet.model.checkpoint import Checkpoint, save_checkpoint

_log = logging.getLogger(__name__)


def open_workshop(
    checkpoint: Checkpoint, options: ExportOptions, jobs: list[Job], folder: Path, scratch: Path
) -> Workshop:
    """Write both forms of the ONNX file into ``folder``, calibrate if a job needs it, open the judges.

    Args:
        checkpoint: what is exported.
        options: what the user asked for.
        jobs: the engines that will be made.
        folder: the bundle's draft.
        scratch: a folder for what must not be in the bundle.
    """
    # First what may be refused: pictures and data that the user named.
    verification = open_verification(checkpoint, options.criteria, options.batch)
    with stderr.status("exporting ONNX"):
        export_onnx(checkpoint, folder / "model.onnx", options.batch)
        standard = inlined(onnx.load_model(str(folder / "model.onnx")))
        onnx.save_model(standard, str(folder / STANDARD_ONNX))
    return Workshop(
        folder=folder,
        standard=standard,
        ranges=_ranges(standard, checkpoint, options.calibration) if any(j.quantized for j in jobs) else {},
        checkpoint=_as_safetensors(checkpoint, options, scratch),
        config=checkpoint.info.config,
        batch=options.batch,
        flags=options.builder,
        verification=verification,
        limits=options.criteria.limits,
    )


def calibration_facts(calibration: Calibration) -> dict[str, Any]:
    """Return what the manifest says of the calibration."""
    source = str(calibration.pictures) if calibration.pictures else "rendered faces"
    return {"faces": calibration.faces, "source": source, "method": calibration.method}


def _ranges(standard: onnx.ModelProto, checkpoint: Checkpoint, calibration: Calibration) -> Ranges:
    recipe = checkpoint.info.preprocessing
    with stderr.status("calibrating"):
        if calibration.pictures:
            faces = read_faces(calibration.pictures, recipe, calibration.faces)
        else:
            _log.warning("no --calibration pictures: int8 and fp8 are calibrated on rendered faces")
            faces = calibration_faces(calibration.faces, recipe)
        return activation_ranges(standard, faces, calibration.method)


def _as_safetensors(checkpoint: Checkpoint, options: ExportOptions, scratch: Path) -> Path:
    """Torch's engines are made from a file that holds no code; a pickle is written as one first."""
    if not options.allow_pickle:
        return options.checkpoint
    path = scratch / "checkpoint.safetensors"
    save_checkpoint(path, checkpoint.network(), checkpoint.info)
    return path
