"""The `export-engine` command that builds one engine of a bundle again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from lnlattennet.bundle._manifest import EngineRecord, Manifest
from lnlattennet.runtimes._precision import QUANTIZED
from lnlattennet.runtimes._registry import backend_infos

_REPLACED = ("--backend", "--precision", "--output", "-o")
_ONE_RUN = ("--force", "--dry-run", "--json")
_QUANTIZED_ONLY = ("--calibration", "--calibration-faces", "--calibration-method")


def rebuild_command(manifest: Manifest, engine: EngineRecord) -> str:
    """Return a command line made from the bundle's own, for this engine alone, into a folder of its own.

    What concerned other engines of the bundle is left out: an export refuses what it makes no use of. An
    engine whose plan a search found is searched for again: its precision as a whole had failed the gate.
    A bundle from the Python API has no command line; its checkpoint is then left to be filled in.
    """
    arguments = list(manifest.command) or ["export-engine", "--checkpoint", "CHECKPOINT.safetensors"]
    output = _value(arguments, ("--output", "-o")) or "BUNDLE"
    searched = engine.name in manifest.verification.get("plans_tried", {})
    valued, switches = [*_REPLACED], [*_ONE_RUN]
    if not set(engine.plan.values()) & set(QUANTIZED):
        valued += _QUANTIZED_ONLY
    for info in backend_infos():
        if info.name != engine.backend:
            valued += info.builder_flags
            switches += info.builder_switches
    kept = _without(arguments, valued, switches)
    precision = "auto" if searched else engine.name.removeprefix(f"{engine.backend}-")
    # A plan file decides the precisions itself.
    chosen = [] if _value(arguments, ("--precision-plan",)) else ["--precision", precision]
    return shlex.join(
        [*kept, "--backend", engine.backend, *chosen, "--output", f"{output.rstrip('/')}-{engine.name}"]
    )


def _value(arguments: Sequence[str], flags: Sequence[str]) -> str:
    """Return the value of one of the flags, "" if none is there."""
    for position, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in flags:
            return value if equals else "".join(arguments[position + 1 : position + 2])
    return ""


def _without(arguments: Sequence[str], valued: Sequence[str], switches: Sequence[str]) -> list[str]:
    """Return the arguments without these flags and their values, and without these that have none."""
    kept = []
    skip = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if skip:
            skip = False
        elif name in valued:
            skip = not equals
        elif argument not in switches:
            kept.append(argument)
    return kept
