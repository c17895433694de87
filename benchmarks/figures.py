"""Tables of the documentation, filled from the records of the benchmarks.

    python -m lnlattennet.benchmarks.figures README.md docs

Everything between `<!-- figures: PATTERN -->` and `<!-- /figures -->` becomes the table of the newest record
in `benchmarks/results/` whose name matches, with its date and machine; `<!-- figures: PATTERN only CASES -->`
keeps the cases whose names match CASES. `make figures` does so for all pages.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from lnlattennet._statistics import median_of_starts, p99, ratio_of_starts
from lnlattennet.benchmarks.harness._command import main
from lnlattennet.benchmarks.harness._pages import fill_blocks, markdown, write_pages
from lnlattennet.benchmarks.harness._samples import CandidateStarts, Starts, read_record, read_starts
from lnlattennet.benchmarks.limits._picture import draw
from lnlattennet.benchmarks.limits._roofline import Roofline
from lnlattennet.benchmarks.scaling._rows import scaling_rows
from lnlattennet.errors import UsageError

RESULTS = Path("benchmarks/results")
ROOFLINE = "*-limits-2cores-*"
"""Pattern of the record that docs/images/roofline.svg shows."""

_BEST = ("compile, matmul form", "compile, broadcast form", "masked SDPA")


def fill_page(text: str, results: Path = RESULTS) -> str:
    """Return a page whose figures are those of the newest records.

    Raises:
        UsageError: a marker names no record.
    """

    def block(name: str) -> str:
        pattern, _, cases = name.partition(" only ")
        return render(newest(pattern, results), cases or "*")

    return fill_blocks(text, "figures", block)


def newest(pattern: str, results: Path = RESULTS) -> Path:
    """Return the last record, by name, that a pattern such as "*-engines-*" matches.

    Raises:
        UsageError: there is none.
    """
    record = max(results.glob(f"{pattern}.json"), key=lambda path: path.stem, default=None)
    if record is None:
        raise UsageError(f"the marker 'figures: {pattern}' matches no record in {results}")
    return record


def render(path: Path, cases: str = "*") -> str:
    """Return the tables of a record as Markdown, under a line that says when and where it was measured.

    Args:
        path: the record.
        cases: shell pattern for the names of the cases that are shown.

    Raises:
        UsageError: there is no table for this kind of record, or no such case.
    """
    record = read_record(path)
    if cases != "*":
        record["cases"] = [case for case in record.get("cases", ()) if fnmatchcase(case["name"], cases)]
        if not record["cases"]:
            raise UsageError(f"{path} has no case whose name matches {cases!r}")
    renderer = _RENDERERS.get(record.get("benchmark", ""))
    if renderer is None:
        raise UsageError(f"{path} is of no benchmark that has a table, which are {', '.join(_RENDERERS)}")
    return "\n\n".join([_origin(path, record), *renderer(record, read_starts(record))])


def _origin(path: Path, record: Mapping[str, Any]) -> str:
    machine = record.get("machine") or record["runtime"]
    facts = [path.stem[:10]]
    if isinstance(machine, str):
        facts.append(machine)
    else:
        threads = f"{machine['threads']} thread{'s' * (machine['threads'] != 1)}"
        facts += [machine["gpu"]] if "gpu" in machine else [machine["cpu"], threads]
        facts += [f"{record['kernel']} kernels"] if "kernel" in record else []
        facts += [f"torch {machine['torch']}"] if "torch" in machine else []
    return f"*{', '.join(facts)}; every sample: `{path.as_posix()}`.*"


def _latency(record: Mapping[str, Any], samples: Starts) -> Iterator[str]:
    rows = [["model and protocol", "p50, ms", "p90, ms", "p99, ms", "largest, ms"]]
    for name, values in record["summary"].items():
        model, _, url = name.partition(" ")
        known = (values[key] for key in ("p50_ms", "p90_ms", "p99_ms", "max_ms"))
        figures = ("" if value is None else f"{value:.1f}" for value in known)
        rows.append([f"`{model}`, {url.partition(':')[0]}", *figures])
    yield markdown(rows)


def _serving(record: Mapping[str, Any], samples: Starts) -> Iterator[str]:
    rates = {case: rounds for case, rounds in record["requests_per_second"].items() if case in samples}
    loaded = [case for case in rates if "in flight" in case]
    rows = [["p50 / p99, ms", *samples, *(f"requests a second, {case}" for case in loaded)]]
    for name in dict.fromkeys(name for candidates in samples.values() for name in candidates):
        latencies = (candidates.get(name, {}).get("warm") for candidates in samples.values())
        cells = (_median_and_p99(starts) if starts else "" for starts in latencies)
        measured = (rates[case].get(name) for case in loaded)
        rows.append([name, *cells, *(f"{np.median(rounds):.0f}" if rounds else "" for rounds in measured)])
    yield markdown(rows)
    if left_out := record.get("left_out"):
        yield _left_out(left_out)


def _median_and_p99(starts: Sequence[Sequence[float]]) -> str:
    """Return both in milliseconds; the median alone of too few requests."""
    milliseconds = np.concatenate(starts) / 1e3
    median, tail = f"{np.median(milliseconds):.1f}", p99(milliseconds)
    return median if tail is None else f"{median} / {tail:.0f}"


def _bundle(record: Mapping[str, Any], samples: Starts) -> Iterator[str]:
    head = ["candidate"]
    for case in samples:
        head += [f"batch {case[1:]}: median, ms", "time over the first"]
    rows = [[*head, "accuracy", "agreement with torch"]]
    for name, answers in record["answers"].items():
        if isinstance(answers, dict):
            times = [
                cell for candidates in samples.values() for cell in _time_and_ratio(candidates, name, 1e3)
            ]
            shares = (
                f"{answers[key]:.2%}" if key in answers else "" for key in ("accuracy", "top1_agreement")
            )
            rows.append([name, *times, *shares])
    yield f"The bundle's engine is `{record['engine']['name']}`."
    yield markdown(rows)
    if record.get("benchmark_app"):
        measured = record["benchmark_app"]
        medians = ", ".join(
            f"{np.median(values):.2f} ms at batch {case[1:]}"
            for case, values in measured["median_ms"].items()
        )
        yield f"OpenVINO's own `benchmark_app` measures {medians} of `{measured['engine']}`."


def _attention(record: Mapping[str, Any], samples: Starts) -> Iterator[str]:
    configs = (case.get("config", case) for case in record["cases"])
    rows = [["case", "state", "fused, us", "GB/s", "times as fast as eager torch",
             "as the best of torch.compile and masked SDPA", "share of F.sum()'s rate"]]  # fmt: skip
    for (case, candidates), config in zip(samples.items(), configs, strict=True):
        rows += [
            [f"`{case}`", state, *_attention_row(candidates, state, config)] for state in candidates["fused"]
        ]
    yield markdown(rows)
    if record["device"] == "cuda":
        yield markdown(_gpu_medians(samples))


def _attention_row(candidates: CandidateStarts, state: str, config: Mapping[str, Any]) -> list[str]:
    timings = {name: states[state] for name, states in candidates.items() if state in states}
    fused = timings["fused"]
    best = min((timings[name] for name in _BEST if name in timings), key=np.median, default=None)
    read = None if config["backward"] else timings["read (F.sum())"]
    ratios = (
        ratio_of_starts(other, fused).text() if other else "" for other in (timings.get("eager"), best, read)
    )
    return [f"{np.median(fused):.1f}", f"{config['traffic_bytes'] / np.median(fused) / 1e3:.0f}", *ratios]


def _gpu_medians(samples: Starts) -> list[list[str]]:
    """Return every candidate's medians: of single calls for one image, of calls on changing maps for more."""
    states = {case: "launch" if case.endswith("/b1") else "cold" for case in samples}
    rows = [["median, us", *(f"`{case}`, {state}" for case, state in states.items())]]
    for name in next(iter(samples.values())):
        timings = (samples[case].get(name, {}).get(state) for case, state in states.items())
        rows.append([name, *(f"{np.median(timing):.1f}" if timing else "" for timing in timings)])
    return rows


def _training(record: Mapping[str, Any], samples: Starts) -> Iterator[str]:
    [candidates] = samples.values()
    batch = record.get("batch_size") or record["cases"][0]["config"]["batch_size"]
    yield _comparison(candidates, "ms per image", 1e3 * batch)
    resident = [value / 2**20 for value in record["resident_bytes"]]
    ends = f"{resident[0]:.0f} MiB after the first step, {resident[-1]:.0f} after the last"
    spread = f"{min(resident):.0f} to {max(resident):.0f} in all {len(resident)}"
    yield f"Waiting for data: {record['waiting_for_data']:.1%} of a step. Resident memory: {ends}, {spread}."


def _augmentation(record: Mapping[str, Any], samples: Starts) -> Iterator[str]:
    [candidates] = samples.values()
    faces, *_ = record.get("faces") or record["cases"][0]["config"]["shape"]
    yield _comparison(candidates, "ms per face", 1e3 * faces)


def _faithfulness(record: Mapping[str, Any], samples: Starts) -> Iterator[str]:
    data, accuracy = record["data"], record["accuracy"]
    yield (
        f"`{record['checkpoint']}` on {data['faces']:,} faces of {data['format']}, {data['split']}: "
        f"accuracy {accuracy['value']:.1%}. {record['covered']} of {record['regions']} regions are covered."
    )
    rows = [["reading", "points lost, highest covered", "lowest covered", "highest over random",
             "the same, blurred", "deletion", "insertion", "rank correlation"]]  # fmt: skip
    for reading in record["readings"]:
        covered, blurred = reading["covered"]["mean"], reading["covered"]["blur"]
        points = (_estimate(covered[name], "{:.1f}", 100) for name in ("highest", "lowest"))
        ratios = (_estimate(fill["times_random"], "{:.2f}") for fill in (covered, blurred))
        rest = (_estimate(reading[name], "{:.3f}") for name in ("deletion", "insertion", "rank_correlation"))
        rows.append([reading["name"], *points, *ratios, *rest])
    yield markdown(rows)


def _estimate(estimate: Mapping[str, float] | None, digits: str, scale: float = 1) -> str:
    if estimate is None:
        return ""
    value, low, high = (digits.format(scale * estimate[name]) for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _faces(record: Mapping[str, Any], samples: Starts) -> Iterator[str]:
    finders, outcomes = record["finders"], record["outcomes"]
    measured = list(record["false_alarms"])
    rows = [["faces found", *measured]]
    for condition, found in outcomes.items():
        count = len(found[measured[0]])
        shares = (f"{np.mean(np.array(found[name]) > 0):.1%}" for name in measured)
        rows.append([f"{condition} ({count})", *shares])
    alarms = {name: np.array(counts) for name, counts in record["false_alarms"].items()}
    images = len(alarms[measured[0]])
    rows.append(
        [
            f"images with a false alarm, of {images} without a face",
            *(str((alarms[n] > 0).sum()) for n in measured),
        ]
    )
    for condition in ("upright", "turned 35 degrees"):
        errors = record["landmark_errors"][condition]
        cells = (f"{np.mean(errors[name]):.1%}" if errors[name] else "none" for name in measured)
        rows.append([f"landmarks' distance, {condition}, of the eyes'", *cells])
    for case, candidates in samples.items():
        cells = (", ".join(filter(None, _time_and_ratio(candidates, name, 1e3))) for name in measured)
        rows.append([f"{case}: median, ms, and over the first", *cells])
    yield markdown(rows)
    head = [["finder", "package", "license of the code", "of the weights", "trained on"]]
    keys = ("package", "code_license", "weights_license", "training_data")
    yield markdown(head + [[name, *(finders[name][key] for key in keys)] for name in measured])


def _images(record: Mapping[str, Any], samples: Starts) -> Iterator[str]:
    rows = [["file", "candidate", "processor time, ms", "time over the first", "peak memory, MB"]]
    for case, candidates in samples.items():
        peaks = {name: f"{np.median(values):.0f}" for name, values in record["memory_mb"][case].items()}
        rows += [
            [case, name, *_time_and_ratio(candidates, name, 1e3), peaks.get(name, "")] for name in candidates
        ]
    yield markdown(rows)


def _limits(record: Mapping[str, Any], samples: Starts) -> Iterator[str]:
    roofline = Roofline(record)
    others = record["load"]["others"]
    yield f"Other programs took {'an unknown part' if others is None else f'{others:.0%}'} of the processors."
    yield markdown(roofline.limit_rows())
    yield markdown(roofline.engine_rows())


def _scaling(record: Mapping[str, Any], samples: Starts) -> Iterator[str]:
    yield markdown(scaling_rows(record))
    if left_out := record.get("left_out"):
        yield _left_out(left_out)


def _programs(record: Mapping[str, Any], samples: Starts) -> Iterator[str]:
    rows = [["case", "program", "median, ms", "time over the first"]]
    for case, candidates in samples.items():
        rows += [
            [case, name, *_time_and_ratio(candidates, name, 1e3)] for name in candidates if candidates[name]
        ]
    yield markdown(rows)
    rows = [["program", "release", "answer", *(f"memory, MB, {case}" for case in record["memory_bytes"])]]
    for name, facts in record["answers"].items():
        memory = (f"{np.median(values[name]) / 1e6:.0f}" for values in record["memory_bytes"].values())
        rows.append([name, facts["version"], facts["expression"], *memory])
    yield markdown(rows)
    results = record["cases"][0]["candidates"].items()
    yield _left_out({name: result["failed"] for name, result in results if result["failed"]})


def _left_out(reasons: Mapping[str, str]) -> str:
    return "\n".join(f"- {name} is left out: {reason}" for name, reason in reasons.items())


def _comparison(candidates: CandidateStarts, unit: str, per_unit: float) -> str:
    rows = [["", unit, "time over the first"]]
    return markdown(rows + [[name, *_time_and_ratio(candidates, name, per_unit)] for name in candidates])


def _time_and_ratio(candidates: CandidateStarts, name: str, per_unit: float) -> list[str]:
    first, timing = next(iter(candidates)), candidates[name]["warm"]
    ratio = "" if name == first else ratio_of_starts(timing, candidates[first]["warm"]).text()
    return [f"{median_of_starts(timing).value / per_unit:.2f}", ratio]


_RENDERERS: Mapping[str, Callable[[Mapping[str, Any], Starts], Iterator[str]]] = {
    "latency": _latency,
    "engines": _bundle,
    "bundle": _bundle,
    "kernels": _attention,
    "attention": _attention,
    "training": _training,
    "augmentation": _augmentation,
    "faithfulness": _faithfulness,
    "faces": _faces,
    "images": _images,
    "limits": _limits,
    "programs": _programs,
    "scaling": _scaling,
    "serving": _serving,
}


def run(arguments: Sequence[str] | None = None) -> int:
    """Fill the pages that the command line names; return the exit code."""
    program, description = "python -m lnlattennet.benchmarks.figures", (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH", help="Markdown file, or folder of them"
    )
    parser.add_argument(
        "--roofline",
        type=Path,
        metavar="FILE",
        help=f"draw the newest record of {ROOFLINE} into this SVG file",
    )
    options = parser.parse_args(arguments)
    write_pages(options.paths, fill_page)
    if options.roofline:
        draw(read_record(newest(ROOFLINE)), options.roofline)
    return 0


if __name__ == "__main__":
    main(run)
