"""The accuracy gate: an engine is published only if it gives what the checkpoint gives in torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lnlattennet.export.backends.base import Arrays, BatchRange, Runner
from lnlattennet.export.manifest import OutputCheck
from lnlattennet.model.names import INPUT_NAME, OUTPUT_NAMES
from lnlattennet.model.network import LNLAttenNet

Faces = NDArray[np.float32]
Reference = Callable[[Faces], Arrays]


@dataclass(frozen=True)
class Tolerances:
    """Per output, |engine - torch| <= atol + rtol * |torch| must hold for every element."""

    atol: Mapping[str, float]
    rtol: Mapping[str, float]


def batch_sizes(batch: BatchRange) -> list[int]:
    """Return the sizes to check: both ends, the optimum, one image, and odd and even ones between."""
    wanted = {batch.minimum, 1, 2, 5, batch.optimum, batch.maximum}
    return sorted(size for size in wanted if batch.minimum <= size <= batch.maximum)


def torch_reference(network: LNLAttenNet) -> Reference:
    """Return the checkpoint's network as a function of numpy arrays, one image at a time.

    One image at a time, because a reference must not share an engine's faults with batches.
    """

    def run(faces: Faces) -> Arrays:
        with torch.inference_mode():
            answers = [network(torch.from_numpy(face)[None]) for face in faces]
        return {
            name: np.concatenate([getattr(answer, name).numpy() for answer in answers])
            for name in OUTPUT_NAMES
        }

    return run


def check_engine(
    runner: Runner, reference: Arrays, faces: Faces, batch: BatchRange, tolerances: Tolerances
) -> dict[str, OutputCheck]:
    """Compare every output at every batch size with the reference; keep the worst of each output.

    Args:
        runner: the engine.
        reference: the checkpoint's answers for ``faces``.
        faces: different images [batch.maximum or more, 3, S, S].
        batch: the engine's range.
        tolerances: what passes.
    """
    worst: dict[str, OutputCheck] = {}
    for size in batch_sizes(batch):
        # Each size starts elsewhere, and runs reversed too: an answer must not depend on its neighbours.
        start = (7 * size) % (len(faces) - size + 1)
        for order in (np.arange(start, start + size), np.arange(start, start + size)[::-1]):
            outputs = runner({INPUT_NAME: np.ascontiguousarray(faces[order])})
            for name in OUTPUT_NAMES:
                check = _compare(outputs[name], reference[name][order], size, name, tolerances)
                if name not in worst or _badness(check) > _badness(worst[name]):
                    worst[name] = check
    return worst


def _compare(
    found: NDArray[np.float32], expected: NDArray[np.float32], size: int, name: str, tolerances: Tolerances
) -> OutputCheck:
    if found.shape != expected.shape:
        return OutputCheck(
            max_abs=np.inf,
            atol=tolerances.atol[name],
            rtol=tolerances.rtol[name],
            batch=size,
            sample=0,
            passed=False,
        )
    difference = np.abs(found.astype(np.float64) - expected).reshape(size, -1)
    limit = tolerances.atol[name] + tolerances.rtol[name] * np.abs(expected).reshape(size, -1)
    # Not finite must never pass: a comparison with NaN is false.
    difference[~np.isfinite(difference)] = np.inf
    return OutputCheck(
        max_abs=float(difference.max()),
        atol=tolerances.atol[name],
        rtol=tolerances.rtol[name],
        batch=size,
        sample=int(difference.max(axis=1).argmax()),
        passed=bool((difference <= limit).all()),
    )


def _badness(check: OutputCheck) -> tuple[bool, float]:
    return (not check.passed, check.max_abs)
