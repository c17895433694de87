"""The augmentation of training, on uint8 arrays with OpenCV, beside the same kinds of change on tensors.

    python -m lnlattennet.benchmarks.training.augmentation --output record.json

The tensors' are kornia's (https://kornia.readthedocs.io), with our ranges and probabilities, in batches as a
GPU would have them and face by face as a data set has them. All take turns on one core, and turn uint8 faces
into uint8 faces. How the changes look is not compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.table import Table
from torch import Tensor

from lnlattennet import __version__
from lnlattennet._command import print_json, run_app
from lnlattennet._console import stdout
from lnlattennet._interleave import interleave
from lnlattennet._statistics import median_interval, ratio_interval
from lnlattennet.benchmarks.harness._hardware import machine_facts
from lnlattennet.benchmarks.harness._timing import host_turn
from lnlattennet.data.synthetic._splits import render_split
from lnlattennet.errors import UnavailableError
from lnlattennet.training._augmentation import augment

OURS = "OpenCV, face by face"
BATCH = 64
SIDE = 112


def opencv_faces(seed: int) -> Callable[[Tensor], Tensor]:
    """Return what training does to faces uint8 [N, 3, S, S]."""
    rng = np.random.default_rng(seed)

    def change(faces: Tensor) -> Tensor:
        images: NDArray[np.uint8] = faces.permute(0, 2, 3, 1).numpy()
        return torch.from_numpy(np.stack([augment(image, rng) for image in images])).permute(0, 3, 1, 2)

    return change


def kornia_faces(at_once: int) -> Callable[[Tensor], Tensor]:
    """Return the same kinds of change as tensors, on ``at_once`` faces at a time.

    Raises:
        UnavailableError: kornia is not installed.
    """
    try:
        from kornia import augmentation as changes
    except ImportError as error:
        raise UnavailableError("the tensors' side needs kornia; install it: pip install kornia") from error
    sequence = changes.AugmentationSequential(
        changes.RandomHorizontalFlip(p=0.5),
        changes.RandomAffine(8, (0.05, 0.05), (0.92, 1.08), p=1.0, padding_mode="reflection"),
        changes.RandomGamma((0.64, 1.57), p=1.0),
        changes.ColorJiggle(0.1, (0.7, 1.2), 0.15, 0.0, p=1.0),
        changes.RandomLinearIllumination((0.01, 0.25), p=1.0),
        changes.RandomGrayscale(p=0.15),
        changes.RandomGaussianBlur((5, 5), (0.3, 1.3), p=0.175),
        changes.RandomMotionBlur((3, 5), 180.0, 0.0, p=0.175),
        changes.RandomGaussianNoise(std=0.02, p=0.3),
        changes.RandomErasing((0.02, 0.2), p=0.15),
    )

    def change(faces: Tensor) -> Tensor:
        parts = [sequence(part.float().div_(255)) for part in torch.split(faces, at_once)]
        return torch.cat(parts).mul_(255).to(torch.uint8)

    return change


def augmentation_record(rounds: int) -> dict[str, Any]:
    """Let all of them change a batch of rendered faces ``rounds`` times, and keep every sample."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    faces = torch.from_numpy(render_split("train", BATCH, SIDE)[0]).permute(0, 3, 1, 2)
    rivals = {
        OURS: opencv_faces(0),
        f"kornia, batches of {BATCH}": kornia_faces(BATCH),
        "kornia, face by face": kornia_faces(1),
    }
    turns = {name: host_turn(change, [faces]) for name, change in rivals.items()}
    samples = interleave(turns, rounds)
    return {
        "benchmark": "augmentation",
        "lnlattennet": __version__,
        "machine": machine_facts("cpu"),
        "threads": 1,
        "faces": [BATCH, 3, SIDE, SIDE],
        "ms_per_face": {
            name: median_interval([value / BATCH * 1e3 for value in values])
            for name, values in samples.items()
        },
        "over_ours": {name: ratio_interval(values, samples[OURS]) for name, values in samples.items()},
        "samples_s": samples,
    }


def augmentation(
    rounds: Annotated[int, typer.Option(min=2, help="How often each of them changes a batch.")] = 15,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the record here.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Measure augmentation on arrays beside augmentation on tensors."""
    record = augmentation_record(rounds)
    if output:
        output.write_text(json.dumps(record, indent=2) + "\n")
    if json_output:
        print_json(record)
        return
    table = Table("augmented by", "ms per face", "time over ours", "95% interval")
    for name, (median, _, _) in record["ms_per_face"].items():
        ratio, low, high = record["over_ours"][name]
        table.add_row(name, f"{median:.2f}", f"{ratio:.2f}", f"{low:.2f} to {high:.2f}")
    stdout().print(table)


def main() -> None:
    """Entry point of ``python -m lnlattennet.benchmarks.training.augmentation``."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(augmentation)
    run_app(app)


if __name__ == "__main__":
    main()
