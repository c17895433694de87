"""A bundle's engine beside torch, ONNX Runtime and OpenVINO int8 by NNCF, in one interleaved run.

    python -m lnlattennet.benchmarks.bundle                            # exports the demo checkpoint first
    python -m lnlattennet.benchmarks.bundle --bundle build/auto --json

Every candidate runs in processes of its own and takes turns with the others in random order; every sample is
kept. Answers are compared on held-out rendered faces. Missed requirements do not change the exit code.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnlattennet._command import configure_logging
from lnlattennet.benchmarks.bundle._accuracy import compare_answers, labeled_faces
from lnlattennet.benchmarks.bundle._candidates import (
    EAGER,
    NNCF,
    ONNX_RUNTIME,
    OURS,
    Faces,
    Logits,
    bundle_engine,
    onnxruntime_defaults,
    openvino_nncf,
    quantize_with_nncf,
    torch_eager,
)
from lnlattennet.benchmarks.harness._command import (
    add_cases,
    add_count,
    choose_names,
    main,
    option_parser,
    report,
)
from lnlattennet.benchmarks.harness._record import (
    WARM,
    ExperimentResult,
    Record,
    RequirementResult,
    warm_results,
)
from lnlattennet.benchmarks.harness._tables import comparison_table, requirement_table
from lnlattennet.bundle._bundle import Bundle, hash_file
from lnlattennet.bundle._export_options import ExportOptions
from lnlattennet.errors import UsageError
from lnlattennet.export._pipeline import export_engine
from lnlattennet.export.selection._timing import time_in_turns
from lnlattennet.machine._hardware import usable_cpus

DEMO = Path("checkpoints/demo.safetensors")
BATCHES = (1, 8)
REQUIRED = {EAGER: 4.0, ONNX_RUNTIME: 2.5, NNCF: 0.95}
"""Candidate -> how many times as long as the bundle's engine it must take."""
MIN_AGREEMENT, MAX_ACCURACY_DROP = 0.99, 0.005
_Candidates = dict[str, tuple[Callable[..., Logits], list[Any]]]


@dataclass(frozen=True, kw_only=True)
class BundleOptions:
    """What is measured.

    Attributes:
        threads: number for each candidate.
        rounds: counted calls of each candidate at each batch size.
        starts: processes of every candidate, one after the other, which share the calls.
        batches: batch sizes.
        faces: held-out rendered faces to compare answers on.
        nncf: whether OpenVINO int8 by NNCF takes part, which takes a minute to make.
    """

    threads: int
    rounds: int = 300
    starts: int = 5
    batches: Sequence[int] = BATCHES
    faces: int = 2_100
    nncf: bool = True


def measure(bundle: Path, checkpoint: Path, options: BundleOptions, scratch: Path) -> Record:
    """Measure a bundle's selected engine beside the other candidates.

    Args:
        bundle: exported from ``checkpoint``.
        checkpoint: run by torch.
        options: what is measured.
        scratch: folder for temporary files.

    Raises:
        UsageError: the bundle was made from another checkpoint.
        UnavailableError: NNCF takes part, and is not installed.
    """
    opened = Bundle.load(bundle)
    manifest = opened.manifest
    if manifest.checkpoint_sha256 != hash_file(checkpoint).sha256:
        raise UsageError(f"{bundle} was not exported from {checkpoint}: their ratios would mean nothing")
    record = Record(benchmark="bundle")
    threads = options.threads
    candidates: _Candidates = {
        OURS: (bundle_engine, [str(bundle), threads]),
        EAGER: (torch_eager, [str(checkpoint), threads]),
        ONNX_RUNTIME: (onnxruntime_defaults, [str(bundle), threads]),
    }
    if options.nncf:
        by_hand = quantize_with_nncf(bundle, manifest, scratch / "nncf.xml")
        candidates[NNCF] = openvino_nncf, [str(by_hand), threads]
    faces, labels = labeled_faces(options.faces, manifest.preprocessing, usable_cpus())
    for experiment in _experiments(candidates, faces, options, scratch):
        record.add(experiment)
    loaded = {name: load(*arguments) for name, (load, arguments) in candidates.items()}
    answers = compare_answers(loaded, EAGER, faces, labels)
    record.requirements = list(_requirements(record, answers[OURS]))
    record.facts = {
        "threads": threads,
        "starts": options.starts,
        "engine": manifest.engine(manifest.selected).model_dump(mode="json"),
        "selected_because": manifest.selected_because,
        "export": manifest.verification.model_dump(include={"seconds", "peak_memory_mb"}),
        "answers": {"faces": options.faces, "of": "rendered, held out"} | answers,
    }
    return record


def _experiments(
    candidates: _Candidates, faces: Faces, options: BundleOptions, scratch: Path
) -> Iterator[ExperimentResult]:
    """Time every candidate in several processes.

    A new process lays its memory out anew, which alone makes an engine some percent faster or slower.
    """
    functions = {
        name: (f"{load.__module__}:{load.__name__}", arguments)
        for name, (load, arguments) in candidates.items()
    }
    calls = max(1, options.rounds // options.starts)
    starts = [time_in_turns(functions, faces, options.batches, calls, scratch) for _ in range(options.starts)]
    for batch in options.batches:
        seconds = {
            name: [ms / 1e3 for samples in starts for ms in samples[name][batch]] for name in candidates
        }
        yield ExperimentResult(f"b{batch}", {"batch": batch}, warm_results(seconds, [calls] * options.starts))


def _requirements(record: Record, answers: Mapping[str, float]) -> Iterable[RequirementResult]:
    for case in record.cases:
        for name, bound in REQUIRED.items():
            yield RequirementResult(
                text=f"time of {name} over the engine's", case=case.name, state=WARM, bound=bound
            ).with_ratio(case, OURS, [name])
    yield RequirementResult(
        text="top-1 agreement with torch", case="answers", bound=MIN_AGREEMENT
    ).with_value(answers["top1_agreement"])
    yield RequirementResult(
        text="accuracy lost against torch", case="answers", bound=MAX_ACCURACY_DROP, upper=True
    ).with_value(answers["accuracy_drop"])


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write what the command line asks for; return the exit code."""
    parser = option_parser("bundle", __doc__ or "")
    parser.add_argument(
        "--bundle", type=Path, metavar="FOLDER", help="bundle to measure; default: export one"
    )
    parser.add_argument("-c", "--checkpoint", type=Path, default=DEMO, help=f"the bundle's; default {DEMO}")
    add_count(parser, "--threads", usable_cpus(), 1, "threads of each candidate")
    add_count(parser, "--rounds", 300, 10, "counted calls of each candidate")
    add_count(parser, "--starts", 5, 1, "processes of each candidate, which share the calls")
    add_count(parser, "--faces", 2_100, 8, "held-out faces for the accuracy")
    add_cases(parser, "b8")
    parser.add_argument("--no-nncf", action="store_true", help="leave OpenVINO int8 by NNCF out")
    options = parser.parse_args(arguments)
    names = {f"b{batch}": batch for batch in BATCHES}
    chosen = BundleOptions(
        threads=options.threads,
        rounds=options.rounds,
        starts=options.starts,
        batches=[names[name] for name in choose_names(names, options.case)],
        faces=options.faces,
        nncf=not options.no_nncf,
    )
    configure_logging(0, quiet=False)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, bundle = options.checkpoint, options.bundle or Path(folder) / "auto"
        if options.bundle is None:
            export_engine(ExportOptions(checkpoint=checkpoint, output=bundle, precisions=("auto",)))
        record = measure(bundle, checkpoint, chosen, Path(folder))
    times = comparison_table(record.cases, OURS, "median ms", 1e3)
    report(record, f"{times}\n\n{requirement_table(record.requirements)}", options)
    return 0


if __name__ == "__main__":
    main(run)
