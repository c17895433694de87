"""A bundle's engine beside torch and its compilers, ONNX Runtime and OpenVINO int8 by NNCF, in one run.

    python -m lnlattennet.benchmarks.bundle                            # exports the demo checkpoint first
    python -m lnlattennet.benchmarks.bundle --bundle build/auto --json

Every candidate runs in processes of its own and takes turns with the others in random order; every sample is
kept. Beside them stands what OpenVINO's own `benchmark_app` measures of the bundle's engine. Answers are
compared on held-out rendered faces. Missed requirements do not change the exit code.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lnlattennet._command import configure_logging
from lnlattennet._program_folder import program_folder
from lnlattennet.benchmarks.bundle._accuracy import compare_answers, labeled_faces
from lnlattennet.benchmarks.bundle._benchmark_app import benchmark_app, openvino_engine
from lnlattennet.benchmarks.bundle._candidates import (
    AOTI,
    COMPILED,
    EAGER,
    NNCF,
    ONNX_RUNTIME,
    OURS,
    Faces,
    Logits,
    aot_inductor,
    bundle_engine,
    compile_aot_inductor,
    onnxruntime_defaults,
    openvino_nncf,
    quantize_with_nncf,
    torch_compiled,
    torch_eager,
)
from lnlattennet.benchmarks.harness._command import (
    DEMO,
    add_cases,
    add_count,
    add_earlier,
    choose_names,
    main,
    option_parser,
    report,
)
from lnlattennet.benchmarks.harness._engine_turns import time_engines
from lnlattennet.benchmarks.harness._record import (
    WARM,
    ExperimentResult,
    Record,
    RequirementResult,
)
from lnlattennet.benchmarks.harness._tables import aligned, comparison_table, requirement_table
from lnlattennet.benchmarks.harness._versions import EARLIER
from lnlattennet.bundle._bundle import Bundle, hash_file
from lnlattennet.bundle._export_options import ExportOptions
from lnlattennet.bundle._manifest import Manifest
from lnlattennet.errors import UsageError
from lnlattennet.export._pipeline import export_engine
from lnlattennet.machine._hardware import usable_cpus

BATCHES = (1, 8)
REQUIRED = {EAGER: 8.0, ONNX_RUNTIME: 4.0, NNCF: 0.95, EARLIER: 1.5}
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
        compilers: whether torch.compile and AOTInductor take part, which compile for minutes.
        earlier: interpreter of an environment with an earlier version, or None.
        earlier_bundle: what the earlier version runs, exported from the same checkpoint; None: the bundle.
    """

    threads: int
    rounds: int = 300
    starts: int = 5
    batches: Sequence[int] = BATCHES
    faces: int = 2_100
    nncf: bool = True
    compilers: bool = True
    earlier: Path | None = None
    earlier_bundle: Path | None = None


def measure(bundle: Path, checkpoint: Path, options: BundleOptions, scratch: Path) -> Record:
    """Measure a bundle's selected engine beside the other candidates.

    Args:
        bundle: exported from ``checkpoint``.
        checkpoint: run by torch.
        options: what is measured.
        scratch: folder for temporary files.

    Raises:
        UsageError: a bundle was made from another checkpoint.
        UnavailableError: NNCF takes part, and is not installed.
        ExportError: the compilers take part, and AOTInductor failed.
    """
    manifest = Bundle.load(bundle).manifest
    for folder in filter(None, (bundle, options.earlier_bundle)):
        if Bundle.load(folder).manifest.checkpoint_sha256 != hash_file(checkpoint).sha256:
            raise UsageError(f"{folder} was not exported from {checkpoint}: their ratios would mean nothing")
    record = Record(benchmark="bundle")
    # The candidates have processes of their own; this one's number of threads says nothing of them.
    record.machine["threads"] = options.threads
    candidates = _candidates(bundle, manifest, checkpoint, options, scratch)
    faces, labels = labeled_faces(options.faces, manifest.preprocessing, manifest.class_names, usable_cpus())
    with _compiled_once():
        for experiment in _experiments(candidates, faces, options, scratch):
            record.add(experiment)
        loaded = {name: load(*arguments) for name, (load, arguments) in candidates.items()}
        answers = compare_answers(loaded, EAGER, faces, labels)
    record.requirements = list(_requirements(record, answers[OURS]))
    record.facts = {
        "starts": options.starts,
        "engine": manifest.engine().model_dump(mode="json"),
        "selected_because": manifest.selected_because,
        "export": manifest.verification.model_dump(include={"seconds", "peak_memory_mb"}),
        "answers": {"faces": options.faces, "of": "rendered, held out"} | answers,
        "benchmark_app": _by_benchmark_app(bundle, manifest, options, scratch),
    }
    record.note_time()
    return record


def _candidates(
    bundle: Path, manifest: Manifest, checkpoint: Path, options: BundleOptions, scratch: Path
) -> _Candidates:
    """Return what is measured, the bundle's engine first; makes what has to be made."""
    threads = options.threads
    # 0 says that the process has the cores for itself, as it does by default.
    own_threads = 0 if threads == usable_cpus() else threads
    candidates: _Candidates = {
        OURS: (bundle_engine, [str(bundle), own_threads]),
        EAGER: (torch_eager, [str(checkpoint), threads]),
        ONNX_RUNTIME: (onnxruntime_defaults, [str(bundle), threads]),
    }
    if options.earlier:
        candidates[EARLIER] = bundle_engine, [str(options.earlier_bundle or bundle), own_threads]
    if options.compilers:
        package = compile_aot_inductor(checkpoint, max(options.batches), scratch / "aoti.pt2")
        candidates[COMPILED] = torch_compiled, [str(checkpoint), threads]
        candidates[AOTI] = aot_inductor, [str(package), threads]
    if options.nncf:
        by_hand = quantize_with_nncf(bundle, manifest, scratch / "nncf.xml")
        candidates[NNCF] = openvino_nncf, [str(by_hand), threads]
    return candidates


def _compiled_once() -> AbstractContextManager[None]:
    """Let all processes of a run share what `torch.compile` compiled, and remove it at the end."""
    from torch._inductor.utils import fresh_cache

    return fresh_cache(dir=str(program_folder()))


def _by_benchmark_app(
    bundle: Path, manifest: Manifest, options: BundleOptions, scratch: Path
) -> dict[str, Any] | None:
    """Return OpenVINO's own median of its engine by batch size, a value for each start; None without one."""
    engine = openvino_engine(manifest)
    if engine is None:
        return None
    size, calls = manifest.preprocessing.size, max(1, options.rounds // options.starts)
    measure = partial(
        benchmark_app, bundle / engine.file, threads=options.threads, calls=calls, scratch=scratch
    )
    medians = {
        f"b{batch}": [measure((batch, 3, size, size)) for _ in range(options.starts)]
        for batch in options.batches
    }
    return {"engine": engine.name, "median_ms": medians}


def _experiments(
    candidates: _Candidates, faces: Faces, options: BundleOptions, scratch: Path
) -> Iterator[ExperimentResult]:
    functions = {
        name: (f"{load.__module__}:{load.__name__}", arguments)
        for name, (load, arguments) in candidates.items()
    }
    pythons = {EARLIER: options.earlier} if options.earlier else {}
    return time_engines(functions, faces, options.batches, options.rounds, options.starts, scratch, pythons)


def _requirements(record: Record, answers: Mapping[str, float]) -> Iterable[RequirementResult]:
    for case in record.cases:
        for name, bound in REQUIRED.items():
            if name == EARLIER and name not in case.candidates:
                continue
            yield RequirementResult(
                text=f"time of {name} over the engine's", case=case.name, state=WARM, bound=bound
            ).with_ratio(case, OURS, [name])
    yield RequirementResult(
        text="top-1 agreement with torch", case="answers", bound=MIN_AGREEMENT
    ).with_value(answers["top1_agreement"])
    lost = RequirementResult(
        text="accuracy lost against torch", case="answers", bound=MAX_ACCURACY_DROP, upper=True
    )
    yield lost.with_value(answers["accuracy_drop"]) if "accuracy_drop" in answers else lost


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write what the command line asks for; return the exit code."""
    parser = option_parser("bundle", __doc__ or "")
    parser.add_argument(
        "--bundle", type=Path, metavar="FOLDER", help="bundle to measure; default: export one"
    )
    parser.add_argument("-c", "--checkpoint", type=Path, default=DEMO, help=f"the bundle's; default {DEMO}")
    add_earlier(parser)
    text = "what the earlier version runs: its own export of the same checkpoint; default: the bundle"
    parser.add_argument("--earlier-bundle", type=Path, metavar="FOLDER", help=text)
    add_count(parser, "--threads", usable_cpus(), 1, "threads of each candidate")
    add_count(parser, "--rounds", 300, 10, "counted calls of each candidate")
    add_count(parser, "--starts", 5, 1, "processes of each candidate, which share the calls")
    add_count(parser, "--faces", 2_100, 8, "held-out faces for the accuracy")
    add_cases(parser, "b8")
    parser.add_argument("--no-nncf", action="store_true", help="leave OpenVINO int8 by NNCF out")
    parser.add_argument("--no-compilers", action="store_true", help="leave torch.compile and AOTInductor out")
    options = parser.parse_args(arguments)
    if options.earlier_bundle and not options.earlier:
        parser.error("--earlier-bundle is run by an earlier version: give its Python by --earlier")
    names = {f"b{batch}": batch for batch in BATCHES}
    chosen = BundleOptions(
        threads=options.threads,
        rounds=options.rounds,
        starts=options.starts,
        batches=[names[name] for name in choose_names(names, options.case)],
        faces=options.faces,
        nncf=not options.no_nncf,
        compilers=not options.no_compilers,
        earlier=options.earlier,
        earlier_bundle=options.earlier_bundle,
    )
    configure_logging(0, quiet=False)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, bundle = options.checkpoint, options.bundle or Path(folder) / "auto"
        if options.bundle is None:
            export_engine(ExportOptions(checkpoint=checkpoint, output=bundle, precisions=("auto",)))
        record = measure(bundle, checkpoint, chosen, Path(folder))
    times = comparison_table(record.cases, OURS, "median ms", 1e3)
    tables = [times, *_benchmark_app_table(record), requirement_table(record.requirements)]
    report(record, "\n\n".join(tables), options)
    return 0


def _benchmark_app_table(record: Record) -> Iterator[str]:
    figures = record.facts["benchmark_app"]
    if figures is not None:
        rows = [("case", f"OpenVINO's benchmark_app, {figures['engine']}: median ms", "of each start")]
        for case, medians in figures["median_ms"].items():
            rows.append((case, f"{np.median(medians):.2f}", ", ".join(f"{value:.2f}" for value in medians)))
        yield aligned(rows)


if __name__ == "__main__":
    main(run)
