"""The `export-engine` command that builds one engine of a bundle again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from lnlattennet.bundle._export_options import AUTO, CalibrationOptions
from lnlattennet.bundle._manifest import EngineRecord, Manifest
from lnlattennet.runtimes._precision import QUANTIZED
from lnlattennet.runtimes._registry import backend_named
from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig


def rebuild_command(manifest: Manifest, engine: EngineRecord) -> str:
    """Return the bundle's command line for this engine alone, with another output folder.

    Options of the other engines are left out, since an export refuses an option without effect. If a search
    found the engine's plan, the command searches again: in one precision, the engine failed the gate.
    """
    options = manifest.options
    changes: dict[str, Any] = {
        "backends": (engine.backend,),
        "output": Path(f"{options.output}-{engine.name}"),
        "force": False,
    }
    # A plan file decides the precisions itself.
    if options.plan_file is None:
        searched = engine.name in manifest.verification.plans_tried
        changes["precisions"] = (AUTO if searched else engine.name.removeprefix(f"{engine.backend}-"),)
    if not set(engine.plan.values()) & set(QUANTIZED):
        changes["calibration"] = CalibrationOptions()
    if not backend_named(engine.backend).INFO.builder_flags:
        changes["builder"] = TensorRTBuilderConfig()
    rebuilt = options.model_copy(update=changes)
    if not rebuilt.reads_images:
        rebuilt = rebuilt.model_copy(update={"faces": "auto"})
    return shlex.join(rebuilt.command())
