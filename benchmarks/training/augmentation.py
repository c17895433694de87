"""Training's augmentation, on uint8 arrays with OpenCV, beside the same kinds of change on tensors.

    python -m lnlattennet.benchmarks.training.augmentation --output record.json

Those on tensors are kornia's (https://kornia.readthedocs.io) with the same ranges and probabilities, in
batches as on a GPU and face by face as in a data set. All take turns on one core, and return uint8 faces for
uint8 faces. The changed images are not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lnlattennet._interleave import interleave
from lnlattennet.benchmarks.harness._command import add_count, main, option_parser, report
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.harness._tables import comparison_table
from lnlattennet.benchmarks.harness._turns import host_turn
from lnlattennet.data.synthetic._splits import render_split
from lnlattennet.errors import UnavailableError
from lnlattennet.training._augmentation import augment

OURS = "OpenCV, face by face"
BATCH = 64
SIDE = 112


def opencv_faces(seed: int) -> Callable[[Tensor], Tensor]:
    """Return the changes that training makes to faces uint8 [N, 3, S, S]."""
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
        raise UnavailableError("augmentation on tensors needs kornia: pip install kornia") from error
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


def measure(rounds: int) -> Record:
    """Let every candidate change a batch of rendered faces ``rounds`` times, and keep every sample."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    record = Record(benchmark="augmentation")
    faces = torch.from_numpy(render_split("train", BATCH, SIDE)[0]).permute(0, 3, 1, 2)
    candidates = {
        OURS: opencv_faces(0),
        f"kornia, batches of {BATCH}": kornia_faces(BATCH),
        "kornia, face by face": kornia_faces(1),
    }
    samples = interleave({name: host_turn(change, [faces]) for name, change in candidates.items()}, rounds)
    config = {"shape": list(faces.shape)}
    record.add(ExperimentResult(f"{BATCH} faces", config, warm_results(samples)))
    return record


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write what the command line asks for; return the exit code."""
    parser = option_parser("training.augmentation", __doc__ or "")
    add_count(parser, "--rounds", 15, 2, "counted batches of each candidate")
    options = parser.parse_args(arguments)
    record = measure(options.rounds)
    report(record, comparison_table(record.cases, OURS, "ms per face", 1e3 * BATCH), options)
    return 0


if __name__ == "__main__":
    main(run)
