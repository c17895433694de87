"""Training as `lnlattennet train` does it, beside plain torch loops over the same network.

    python -m lnlattennet.benchmarks.training.throughput --steps 10 --epochs 3 --output record.json

The candidates take turns, step by step, inside one run: each has weights of its own and fetches batches of
its own from the same augmented faces, and a step's time is that of its data, forward, backward and optimizer.
The first epoch, whose faces are not augmented, and the first step of the others are not counted. The record
also says what share of a step the trainer waited for data, and how much memory it held after every step.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.profilers import SimpleProfiler

from lnlattennet.benchmarks.harness._command import add_count, main, option_parser, report
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.harness._tables import comparison_table
from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.model._checkpoint import CheckpointInfo
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._loss import joint_loss
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.training._data import open_training_data
from lnlattennet.training._datamodule import FaceBatches
from lnlattennet.training._module import Batch, ExpressionTraining
from lnlattennet.training._options import TrainingOptions
from lnlattennet.training._trainer import build_run, quiet_lightning

TRAINER = "lnlattennet train"
_FETCH, _STEP = "[_TrainingEpochLoop].train_dataloader_next", "run_training_batch"


class PlainLoop:
    """Training loop as written by hand: fetch, forward, loss, backward, clip, step."""

    def __init__(self, options: TrainingOptions, data: FaceBatches, layout: torch.memory_format) -> None:
        self.options, self.data, self.layout = options, data, layout
        network = LNLAttenNet(options.network).train()
        self.network = network.to(memory_format=layout)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(network.parameters(), options.learning_rate)
        self.batches: Iterator[Batch] = iter(())

    def start_epoch(self) -> None:
        """Begin the epoch that the trainer is in."""
        self.batches = iter(self.data.train_dataloader())

    def step(self) -> float:
        """Train on the next batch; return the seconds it took."""
        start = time.perf_counter()
        faces, targets = next(self.batches)
        joint = self.network.joint(faces.contiguous(memory_format=self.layout))
        loss = joint_loss(joint, targets, self.options.network)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        return time.perf_counter() - start


class Turns(L.Callback):
    """Steps of the plain loops after each of the trainer's, with their seconds and the resident bytes."""

    def __init__(self, loops: dict[str, PlainLoop]) -> None:
        self.loops = loops
        self.samples: dict[str, list[float]] = {name: [] for name in (TRAINER, *loops)}
        self.resident: list[int] = []
        self._since = 0.0
        self._random = random.Random()  # noqa: S311 - an order, not a secret

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin the epoch in the plain loops too."""
        for loop in self.loops.values():
            loop.start_epoch()

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        """Count the trainer's step, timed since the last turns, and run a step of every other loop."""
        seconds = {TRAINER: time.perf_counter() - self._since}
        names = list(self.loops)
        self._random.shuffle(names)
        seconds |= {name: self.loops[name].step() for name in names}
        self.resident.append(_resident_bytes())
        if trainer.current_epoch and args[-1]:  # the index of the batch
            for name, value in seconds.items():
                self.samples[name].append(value)
        self._since = time.perf_counter()


def measure(network: NetworkConfig, steps: int, epochs: int, batch_size: int, folder: Path) -> Record:
    """Train for ``epochs`` epochs of ``steps`` steps on rendered faces, and keep every sample.

    Args:
        network: configuration that all candidates train.
        steps: steps of an epoch, 2 or more; the first is not counted.
        epochs: 2 or more; the first is not counted.
        batch_size: faces of a step.
        folder: folder of the run's files.
    """
    record = Record(benchmark="training")
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
        workers=usable_cpus(),
    )
    [training_data] = open_training_data(options)
    recipe = Preprocessing(size=network.image_size)
    info = CheckpointInfo(config=network, class_names=training_data.class_names, preprocessing=recipe)
    data = FaceBatches(training_data, recipe, options)
    loops = {
        "plain loop": PlainLoop(options, data, torch.contiguous_format),
        "plain loop, channels_last": PlainLoop(options, data, torch.channels_last),
    }
    turns = Turns(loops)
    profiler = SimpleProfiler()
    with quiet_lightning():
        trainer = build_run(options).trainer
        trainer.callbacks.append(turns)  # type: ignore[attr-defined]
        trainer.profiler = profiler  # type: ignore[attr-defined]
        trainer.fit(ExpressionTraining(info, options), datamodule=data)
    # Only epochs whose faces are augmented; the last fetch of an epoch finds its end.
    fetches = sum(profiler.recorded_durations[_FETCH][steps:])
    trained = sum(profiler.recorded_durations[_STEP][steps:])
    record.add(ExperimentResult(f"b{batch_size}", {"batch_size": batch_size}, warm_results(turns.samples)))
    record.facts = {
        "network": network.to_dict(),
        "waiting_for_data": fetches / (fetches + trained),
        "resident_bytes": turns.resident,
    }
    return record


def throughput_table(record: Record) -> str:
    """Return the figures of a record as plain text."""
    [case] = record.cases
    steps = comparison_table([case], TRAINER, "ms per image", 1e3 * case.config["batch_size"])
    resident = [value / 2**20 for value in record.facts["resident_bytes"]]
    return (
        f"{steps}\nwaiting for data: {record.facts['waiting_for_data']:.1%} of a step\n"
        f"memory half-way and at the end: {resident[len(resident) // 2]:.0f}, {resident[-1]:.0f} MiB"
    )


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write what the command line asks for; return the exit code."""
    parser = option_parser("training.throughput", __doc__ or "")
    add_count(parser, "--steps", 10, 2, "steps of an epoch")
    add_count(parser, "--epochs", 4, 2, "epochs; the first is not counted")
    add_count(parser, "--batch-size", 64, 2, "faces of a step")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        record = measure(NetworkConfig(), options.steps, options.epochs, options.batch_size, Path(folder))
    report(record, throughput_table(record), options)
    return 0


if __name__ == "__main__":
    main(run)
