"""The best rates of this machine, and the share of them that the engines of a bundle reach.

    python -m lnlattennet.benchmarks.limits                      # the demo checkpoint in torch
    python -m lnlattennet.benchmarks.limits build/auto --json
    python -m lnlattennet.benchmarks.limits build/auto --picture roofline.svg

Measured are memory and caches, read and copied, and products in every precision that the processor has: by
torch, and by ONNX Runtime and OpenVINO as they run engines, among them the network's own dominant
convolution. They take turns with the engines in random order, each in a process of its own; every sample is
kept. Use an otherwise idle machine.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lnlattennet.benchmarks.harness._command import DEMO, add_count, main, option_parser, report
from lnlattennet.benchmarks.harness._engine_turns import time_engines
from lnlattennet.benchmarks.harness._record import Record
from lnlattennet.benchmarks.harness._tables import aligned
from lnlattennet.benchmarks.limits._candidates import machine_limits
from lnlattennet.benchmarks.limits._layers import network_layers
from lnlattennet.benchmarks.limits._picture import draw
from lnlattennet.benchmarks.limits._roofline import Roofline
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._engine import why_not_here
from lnlattennet.errors import UsageError
from lnlattennet.export.selection._timing import engine_arguments
from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.model._config import NetworkConfig
from lnlattennet.runtimes._precision import uniform_plan

BATCHES = (1, 8)
STARTS = 3
"""Processes of every candidate, one after the other."""

_Engines = dict[str, tuple[Path, str, dict[str, str]]]
"""Name -> file, backend and precision plan."""


def measure(model: Path, rounds: int, scratch: Path) -> Record:
    """Measure the machine's limits beside engines.

    Args:
        model: a bundle, of which every engine is measured that runs here on the CPU, or a checkpoint, which
            torch runs.
        rounds: counted calls of each candidate beside each batch size.
        scratch: folder for temporary files.

    Raises:
        UsageError: no engine of the bundle can be measured.
    """
    config, engines = _bundle(model) if model.is_dir() else _checkpoint(model)
    if not engines:
        raise UsageError(
            f"{model} must have an engine that runs on this CPU and takes batches of {BATCHES[0]} to "
            f"{BATCHES[-1]}, and has none: export one with --batch 1:8:32"
        )
    torch.set_num_threads(usable_cpus())
    layers = network_layers(config)
    record = Record(benchmark="limits")
    limits = machine_limits(layers, usable_cpus(), scratch)
    candidates: dict[str, tuple[str, Sequence[Any]]]
    candidates = {name: engine_arguments(backend, file) for name, (file, backend, _) in engines.items()}
    candidates |= {limit.candidate: function for limit, function in limits.items()}
    shape = (max(BATCHES), 3, config.image_size, config.image_size)
    faces = np.random.default_rng(0).standard_normal(shape, np.float32)
    for experiment in time_engines(candidates, faces, BATCHES, rounds, STARTS, scratch):
        record.add(experiment)
    record.facts = {
        "network": config.to_dict(),
        "layers": [dataclasses.asdict(layer) for layer in layers],
        "limits": [dataclasses.asdict(limit) for limit in limits],
        "engines": {name: plan for name, (_, _, plan) in engines.items()},
    }
    return record


def _bundle(path: Path) -> tuple[NetworkConfig, _Engines]:
    """Return the engines, the selected one first: it is what two records are compared by."""
    manifest = Bundle.load(path).manifest
    engines = sorted(manifest.engines, key=lambda engine: engine.name != manifest.selected)
    return NetworkConfig.from_dict(manifest.network), {
        engine.name: (path / engine.file, engine.backend, engine.plan)
        for engine in engines
        if engine.requires.device == "cpu"
        and why_not_here(engine.backend) is None
        and engine.batch[0] <= min(BATCHES) <= max(BATCHES) <= engine.batch[2]
    }


def _checkpoint(path: Path) -> tuple[NetworkConfig, _Engines]:
    config = load_checkpoint(path).info.config
    return config, {"torch-fp32": (path, "torch", dict(uniform_plan("fp32", config).blocks))}


def tables(record: dict[str, Any]) -> str:
    """Return the plain text tables of a record's JSON document."""
    roofline = Roofline(record)
    rows = (roofline.limit_rows(), roofline.engine_rows(), roofline.layer_rows())
    return "\n\n".join(aligned(table) for table in rows)


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write what the command line asks for; return the exit code."""
    parser = option_parser("limits", __doc__ or "")
    parser.add_argument(
        "model", type=Path, nargs="?", default=DEMO, metavar="BUNDLE",
        help=f"bundle, or checkpoint; default {DEMO}",
    )  # fmt: skip
    add_count(parser, "--rounds", 30, STARTS, "counted calls of each candidate beside each batch size")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the roofline into this SVG file")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        record = measure(options.model, options.rounds, Path(folder))
    document = record.to_json()
    if options.picture:
        draw(document, options.picture)
    report(record, tables(document), options)
    return 0


if __name__ == "__main__":
    main(run)
