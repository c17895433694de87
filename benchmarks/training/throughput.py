"""Training as `lnlattennet train` does it, beside plain torch loops over the same network.

    python -m lnlattennet.benchmarks.training.throughput --steps 10 --epochs 3 --output record.json

The rivals take turns, step by step, inside one run: each has weights of its own and fetches batches of its
own from the same augmented faces, and a step's time is that of its data, forward, backward and optimizer. The
first epoch, whose faces are not augmented, and the first step of the others are not counted. The record also
says what share of a step the trainer waited for data, and how much memory it held after every step.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import lightning as L
import numpy as np
import torch
import typer
from lightning.pytorch.profilers import SimpleProfiler
from rich.table import Table

from lnlattennet import __version__
from lnlattennet._command import print_json, run_app
from lnlattennet._console import stdout
from lnlattennet._statistics import ratio_interval
from lnlattennet.benchmarks.harness._hardware import machine_facts
from lnlattennet.model._checkpoint import CheckpointInfo
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._loss import joint_loss
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.training._datamodule import FaceBatches
from lnlattennet.training._module import Batch, ExpressionTraining
from lnlattennet.training._options import TrainingOptions
from lnlattennet.training._sources import open_sources
from lnlattennet.training._trainer import build_run, quiet_lightning

TRAINER = "lnlattennet train"
_FETCH, _STEP = "[_TrainingEpochLoop].train_dataloader_next", "run_training_batch"


class PlainLoop:
    """What somebody would write by hand: fetch, forward, loss, backward, clip, step.

    Args:
        options: of the run beside it.
        data: gives every epoch's batches.
        memory_format: of network and faces; torch's default is contiguous.
    """

    def __init__(
        self, options: TrainingOptions, data: FaceBatches, memory_format: torch.memory_format
    ) -> None:
        self.options = options
        self.data = data
        self.memory_format = memory_format
        network = LNLAttenNet(options.network).train()
        self.network = network.to(memory_format=memory_format)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(network.parameters(), options.learning_rate)
        self.batches: Iterator[Batch] = iter(())

    def start_epoch(self) -> None:
        """Begin the epoch that the trainer is in."""
        self.batches = iter(self.data.train_dataloader())

    def step(self) -> float:
        """Train on the next batch; return the seconds it took."""
        start = time.perf_counter()
        faces, targets = next(self.batches)
        joint = self.network.joint(faces.contiguous(memory_format=self.memory_format))
        loss = joint_loss(joint, targets, self.options.network)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        return time.perf_counter() - start


class Turns(L.Callback):
    """Gives every rival a step after each step of the trainer; keeps seconds and resident bytes."""

    def __init__(self, rivals: dict[str, PlainLoop]) -> None:
        self.rivals = rivals
        self.samples: dict[str, list[float]] = {name: [] for name in (TRAINER, *rivals)}
        self.resident: list[int] = []
        self._since = 0.0
        self._random = random.Random(0)  # noqa: S311 - an order, not a secret

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin the rivals' epochs too."""
        for rival in self.rivals.values():
            rival.start_epoch()

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        """Count the trainer's step, since the turns before it, and let the others take theirs."""
        seconds = {TRAINER: time.perf_counter() - self._since}
        names = list(self.rivals)
        self._random.shuffle(names)
        seconds |= {name: self.rivals[name].step() for name in names}
        self.resident.append(_resident_bytes())
        if trainer.current_epoch and args[-1]:
            for name, value in seconds.items():
                self.samples[name].append(value)
        self._since = time.perf_counter()


def training_record(
    network: NetworkConfig, steps: int, epochs: int, batch_size: int, folder: Path
) -> dict[str, Any]:
    """Train for ``epochs`` epochs of ``steps`` steps on rendered faces, and keep every sample.

    Args:
        network: what all of them train.
        steps: of an epoch.
        epochs: 2 or more; the first is not counted.
        batch_size: faces of a step.
        folder: for the run's files.
    """
    options = TrainingOptions(
        output=folder / "a.safetensors",
        run_folder=folder / "run",
        network=network,
        images={"train": steps * batch_size, "val": batch_size},
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=2e-3,
        weight_decay=1e-2,
        seed=0,
        workers=len(os.sched_getaffinity(0)),
    )
    [source] = open_sources(options)
    recipe = Preprocessing(size=options.network.image_size)
    info = CheckpointInfo(config=options.network, class_names=source.class_names, preprocessing=recipe)
    data = FaceBatches(source, recipe, options)
    turns = Turns(
        {
            "plain loop": PlainLoop(options, data, torch.contiguous_format),
            "plain loop, channels_last": PlainLoop(options, data, torch.channels_last),
        }
    )
    profiler = SimpleProfiler()
    with quiet_lightning():
        trainer = build_run(options).trainer
        trainer.callbacks.append(turns)  # type: ignore[attr-defined]
        trainer.profiler = profiler  # type: ignore[attr-defined]
        trainer.fit(ExpressionTraining(info, options), datamodule=data)
    return _record(options, turns, profiler)


def _record(options: TrainingOptions, turns: Turns, profiler: SimpleProfiler) -> dict[str, Any]:
    own = turns.samples[TRAINER]
    steps = len(turns.resident) // options.epochs
    # Only epochs whose faces are augmented; the last fetch of an epoch finds its end.
    fetches = sum(profiler.recorded_durations[_FETCH][steps:])
    trained = sum(profiler.recorded_durations[_STEP][steps:])
    return {
        "benchmark": "training",
        "lnlattennet": __version__,
        "machine": machine_facts("cpu"),
        "network": options.network.to_dict(),
        "batch_size": options.batch_size,
        "ms_per_image": {
            name: float(np.median(values)) / options.batch_size * 1e3
            for name, values in turns.samples.items()
        },
        "rival_over_trainer": {
            name: dict(zip(("ratio", "low", "high"), ratio_interval(turns.samples[name], own), strict=True))
            for name in turns.rivals
        },
        "waiting_for_data": fetches / (fetches + trained),
        "resident_bytes": turns.resident,
        "samples_s": turns.samples,
    }


def print_record(record: dict[str, Any]) -> None:
    """Print a record's figures as a table."""
    table = Table("trained by", "ms per image", "time over ours", "95% interval")
    for name, value in record["ms_per_image"].items():
        over = record["rival_over_trainer"].get(name, {"ratio": 1.0, "low": 1.0, "high": 1.0})
        interval = f"{over['low']:.3f} to {over['high']:.3f}" if name != TRAINER else ""
        table.add_row(name, f"{value:.2f}", f"{over['ratio']:.3f}", interval)
    stdout().print(table)
    resident = [value / 2**20 for value in record["resident_bytes"]]
    stdout().print(f"waiting for data: {record['waiting_for_data']:.1%} of a step")
    stdout().print(
        f"memory half-way and at the end: {resident[len(resident) // 2]:.0f}, {resident[-1]:.0f} MiB"
    )


def training(
    steps: Annotated[int, typer.Option(min=2, help="Steps of an epoch.")] = 10,
    epochs: Annotated[int, typer.Option(min=2, help="Epochs; the first is not counted.")] = 4,
    batch_size: Annotated[int, typer.Option(min=2)] = 64,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the record here.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Measure training beside plain torch loops, and what it waits for."""
    with tempfile.TemporaryDirectory() as folder:
        record = training_record(NetworkConfig(), steps, epochs, batch_size, Path(folder))
    if output:
        output.write_text(json.dumps(record, indent=2) + "\n")
    print_json(record) if json_output else print_record(record)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Entry point of ``python -m lnlattennet.benchmarks.training.throughput``."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(training)
    run_app(app)


if __name__ == "__main__":
    main()
