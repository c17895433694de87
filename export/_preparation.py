"""What an export needs before its first engine: the graphs, the activations' ranges, the judges."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet._console import stderr
from lnlattennet.bundle._manifest import RENDERED
from lnlattennet.export._engine_builder import STANDARD_ONNX, Workshop
from lnlattennet.export._jobs import Job
from lnlattennet.export._options import Calibration, ExportOptions
from lnlattennet.export.gate._face_images import calibration_faces, read_faces
from lnlattennet.export.gate._verification import open_verification
from lnlattennet.export.onnx._exporter import export_onnx
from lnlattennet.export.onnx._inline import inlined
from lnlattennet.export.precision._calibration import Ranges, activation_ranges
from lnlattennet.model._checkpoint import Checkpoint, save_checkpoint

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
    quantized = any(job.quantized for job in jobs)
    faces = calibration_pictures(options.calibration, checkpoint) if quantized else None
    verification = open_verification(checkpoint, options.criteria, options.batch)
    with stderr.status("exporting ONNX"):
        export_onnx(checkpoint, folder / "model.onnx", options.batch)
        standard = inlined(onnx.load_model(str(folder / "model.onnx")))
        onnx.save_model(standard, str(folder / STANDARD_ONNX))
    return Workshop(
        folder=folder,
        standard=standard,
        ranges={} if faces is None else _ranges(standard, faces, options.calibration.method),
        calibration=None if faces is None else _facts(options.calibration, len(faces)),
        checkpoint=_as_safetensors(checkpoint, options, scratch),
        config=checkpoint.info.config,
        batch=options.batch,
        builder_config=options.builder,
        verification=verification,
        limits=options.criteria.limits,
    )


def calibration_pictures(calibration: Calibration, checkpoint: Checkpoint) -> NDArray[np.float32]:
    """Return the faces to calibrate with, normalised: float32 [n, 3, S, S].

    Raises:
        DataError, ImageError: the user's pictures cannot be read, or are too few.
    """
    recipe = checkpoint.info.preprocessing
    if calibration.pictures:
        return read_faces(calibration.pictures, recipe, calibration.faces)
    _log.warning("no --calibration pictures: int8 and fp8 are calibrated on rendered faces")
    return calibration_faces(calibration.faces, recipe)


def _ranges(standard: onnx.ModelProto, faces: NDArray[np.float32], method: str) -> Ranges:
    with stderr.status("calibrating"):
        return activation_ranges(standard, faces, method)


def _facts(calibration: Calibration, faces: int) -> dict[str, Any]:
    source = printable(calibration.pictures) if calibration.pictures else RENDERED
    return {"faces": faces, "source": source, "method": calibration.method}


def _as_safetensors(checkpoint: Checkpoint, options: ExportOptions, scratch: Path) -> Path:
    """Torch's engines are made from a file that holds no code; a pickle is written as one first."""
    if not options.allow_pickle:
        return options.checkpoint
    path = scratch / "checkpoint.safetensors"
    save_checkpoint(path, checkpoint.network(), checkpoint.info)
    return path
