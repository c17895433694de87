"""The command `lnlattennet train`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from lnlattennet.command import configure_logging, print_json, printable, stdout
from lnlattennet.errors import UsageError, require
from lnlattennet.model.config import NetworkConfig

_PRECISIONS = ("32-true", "bf16-mixed")


def train(
    data: Annotated[str, typer.Option(help="What to train on: synthetic.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .safetensors file to write.")],
    run_folder: Annotated[
        Path | None, typer.Option(help="Logs and training checkpoints. [default: runs/NAME of the output]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in the run folder.")] = False,
    network: Annotated[Path | None, typer.Option(help="JSON file with network config fields.")] = None,
    train_images: Annotated[int, typer.Option(min=7, help="Faces to train on.")] = 16_000,
    val_images: Annotated[int, typer.Option(min=7, help="Faces that choose the best epoch.")] = 700,
    test_images: Annotated[int, typer.Option(min=7, help="Held-out faces that judge it.")] = 2_100,
    epochs: Annotated[int, typer.Option(min=1)] = 10,
    batch_size: Annotated[int, typer.Option(min=2)] = 64,
    learning_rate: Annotated[float, typer.Option(min=0.0)] = 2e-3,
    weight_decay: Annotated[float, typer.Option(min=0.0)] = 1e-2,
    seed: Annotated[int, typer.Option(min=0, max=4095)] = 0,
    precision: Annotated[str, typer.Option(help=" or ".join(_PRECISIONS))] = "32-true",
    workers: Annotated[int, typer.Option(min=1, help="Processes that render.")] = len(
        os.sched_getaffinity(0)
    ),
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the figures as one JSON document.")
    ] = False,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Show detail.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
) -> None:
    """Train the network and write a checkpoint that says how it came to be."""
    configure_logging(verbose, quiet)
    if data != "synthetic":
        raise UsageError(f"--data must be 'synthetic' (rendered faces), got {data!r}")
    if precision not in _PRECISIONS:
        raise UsageError(f"--precision must be one of {', '.join(_PRECISIONS)}, got {precision!r}")
    if train_images // batch_size * epochs < 3:
        raise UsageError(
            f"--train-images {train_images} at --batch-size {batch_size} and --epochs {epochs} make less "
            "than three steps of training; give more images or a smaller batch"
        )
    _check_output(output)
    require("lightning", "train")
    from lnlattennet.training.train import TrainingOptions
    from lnlattennet.training.train import train as run

    figures = run(
        TrainingOptions(
            output=output,
            run_folder=run_folder or Path("runs") / output.stem,
            resume=resume,
            network=_network_config(network),
            images={"train": train_images, "val": val_images, "test": test_images},
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            seed=seed,
            precision="bf16-mixed" if precision == "bf16-mixed" else "32-true",
            workers=workers,
            command=("lnlattennet", *map(printable, sys.argv[1:])),
        )
    )
    if json_output:
        print_json(figures)
        return
    stdout().print(
        f"wrote {figures['checkpoint']}: {figures['test_accuracy']:.1%} on {test_images} held-out faces, "
        f"{figures['val_accuracy']:.1%} on validation, {figures['training_seconds']} s of training"
    )


def _check_output(output: Path) -> None:
    """Refuse an output that could not be written at the end of the training, before it begins."""
    if output.suffix != ".safetensors":
        raise UsageError(f"--output must end in .safetensors, got {output}")
    folder = next(parent for parent in output.resolve().parents if parent.exists())
    if output.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"--output {output} is a folder or cannot be written: choose another")


def _network_config(path: Path | None) -> NetworkConfig:
    if path is None:
        return NetworkConfig()
    try:
        fields = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"--network {path} is not a readable JSON file: {error}") from error
    if not isinstance(fields, dict):
        raise UsageError(f"--network {path} must hold a JSON object of config fields")
    return NetworkConfig.from_dict(fields)
