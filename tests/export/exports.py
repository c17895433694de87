"""Exports of the small network that take a moment, from Python and as the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lnlattennet.bundle._export_options import ExportOptions, SelectionOptions, VerificationOptions
from lnlattennet.export._cli import main
from lnlattennet.runtimes._base import BatchRange
from tests.commands import call

EXPORT = [str(Path(sys.executable).with_name("export-engine")), "--verification-faces", "32"]
FAST = ["--backend", "onnxruntime", "--backend", "openvino", "--batch", "1:2:3"]
"""Runtimes that build in a moment, and batches that are timed in one."""


def quick_options(checkpoint: Path, output: Path, **fields: Any) -> ExportOptions:
    """One runtime, few faces, few rounds."""
    settings: dict[str, Any] = {
        "batch": BatchRange(1, 2, 3),
        "backends": ("onnxruntime",),
        "verification": VerificationOptions(faces=32),
        "selection": SelectionOptions(rounds=5),
    }
    return ExportOptions(checkpoint=checkpoint, output=output, **settings | fields)


def write_images(folder: Path, count: int) -> Path:
    """Images of noise, as PNG."""
    folder.mkdir()
    for index in range(count):
        noise = np.random.default_rng(index).integers(0, 256, (50, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{index:02}.png")
    return folder


def call_export(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Call the command in this process."""
    return call(main, "export-engine", "--verification-faces", 32, *arguments)


def run_export(*arguments: object, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Call the command in a process of its own, as a user does."""
    command = [*EXPORT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **settings)
