"""Processor time of an image: `lnlattennet score` on one and two workers, beside the predictor alone.

    python -m lnlattennet.benchmarks.streams.score FOLDER --bundle BUNDLE --output record.json

The workers are counted from the first shard that is done to the last one: their start is apart. A shard that
another worker has begun by then counts as done before, so the time of an image is rather too long. What this
process and Ray's own take goes with the time of day, not with the images, and is told apart for each second.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import cv2

from lnlattennet.benchmarks.harness._command import add_count, main, option_parser, report, say
from lnlattennet.benchmarks.harness._load import processes
from lnlattennet.benchmarks.harness._memory import descendants
from lnlattennet.benchmarks.harness._record import Record, RequirementResult
from lnlattennet.benchmarks.harness._tables import aligned, requirement_table
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import UsageError
from lnlattennet.serving._predictor import LocalPredictor
from lnlattennet.streams._answers import batched
from lnlattennet.streams._local import BATCH
from lnlattennet.streams.cluster._score import ScoreOptions, ScoreResult, score

LEAST_SHARE = 0.85
"""Required share of the predictor's images in a second of processor time."""

_WORKERS = (1, 2)
_TICK = os.sysconf("SC_CLK_TCK")


def measure(folder: Path, bundle: Path, images: int, shard: int) -> Record:
    """Score so many images of a folder, in such shards, by the predictor and by one and two workers.

    Raises:
        UsageError: the folder has fewer images, or they make too few shards to be counted between.
    """
    files = sorted(folder.iterdir())[:images]
    if len(files) < images:
        raise UsageError(f"--images must be at most the {len(files)} files of {folder}, got {images}")
    if images <= max(_WORKERS) * shard:
        raise UsageError(
            f"--images must be more than the {max(_WORKERS)} shards that workers may begin with, of {shard} "
            f"each, got {images}; give more, or a smaller --shard"
        )
    record = Record(benchmark="score", facts={"images": images, "shard": shard})
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary, "images")
        source.mkdir()
        for file in files:
            (source / file.name).write_bytes(file.read_bytes())
        seconds = {"in this process": [_plain(bundle, sorted(source.iterdir()))]}
        others: dict[str, float] = {}
        for workers in _WORKERS:
            output = Path(temporary, f"{workers}.parquet")
            options = ScoreOptions(
                sources=[str(source)],
                bundle=bundle,
                output=str(output),
                workers=workers,
                shard_images=shard,
            )
            an_image, others[f"{workers} workers"] = _scored(options)
            seconds[f"{workers} workers"] = [an_image]
        seconds["in this process"].append(_plain(bundle, sorted(source.iterdir())))
    record.facts["seconds_an_image"] = seconds
    record.facts["other_seconds_a_second"] = others
    plain = sum(seconds["in this process"]) / 2
    for workers in _WORKERS:
        case = f"{workers} workers"
        required = RequirementResult(
            text="images in a second of processor time",
            case=case,
            bound=LEAST_SHARE,
            against="in this process",
        )
        record.requirements.append(required.with_value(plain / seconds[case][0]))
    record.note_time()
    return record


def _plain(bundle: Path, files: Sequence[Path]) -> float:
    say(f"in this process: {len(files)} images")
    cv2.setNumThreads(1)
    predictor = LocalPredictor(Bundle.load(bundle), threads=1)
    predictor.predict([file.read_bytes() for file in files[:BATCH]])
    start = time.process_time()
    for batch in batched(files, BATCH):
        predictor.predict([file.read_bytes() for file in batch])
    return (time.process_time() - start) / len(files)


def _scored(options: ScoreOptions) -> tuple[float, float]:
    """Return the processor seconds of the workers for an image, and of all other processes for a second."""
    say(f"{options.workers} workers")
    seen: list[tuple[int, float, float, float]] = []

    def note(result: ScoreResult) -> None:
        seen.append((result.images, time.monotonic(), *_processor_seconds()))

    score(options, note)
    images, clock, workers, others = (last - first for first, last in zip(seen[0], seen[-1], strict=True))
    begun = ((options.workers or 1) - 1) * options.shard_images
    return workers / (images - begun), others / clock


def _processor_seconds() -> tuple[float, float]:
    """Processor seconds of the workers, and of this process and all others that it started and are alive."""
    ticks = {process: sum(map(int, fields[11:13])) for process, fields in processes()}
    mine = [process for process in descendants(os.getpid()) if process in ticks]
    workers = sum(ticks[process] for process in mine if _is_worker(process))
    return workers / _TICK, (sum(ticks[process] for process in mine) - workers) / _TICK


def _is_worker(process: int) -> bool:
    with suppress(OSError):
        return b"ShardScorer" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def run(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write what the command line asks for; return the exit code."""
    parser = option_parser("streams.score", __doc__ or "")
    parser.add_argument("folder", type=Path, help="folder of images, all of which are readable")
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="bundle to score with")
    add_count(parser, "--images", 2000, 100, "images of the folder that are scored")
    add_count(parser, "--shard", 50, 10, "images of a shard")
    options = parser.parse_args(arguments)
    record = measure(options.folder, options.bundle, options.images, options.shard)
    rows = [("", "processor time of an image, ms", "of other processes, ms a second")]
    for name, values in record.facts["seconds_an_image"].items():
        other = record.facts["other_seconds_a_second"].get(name)
        told = "" if other is None else f"{other * 1e3:.0f}"
        rows.append((name, ", ".join(f"{value * 1e3:.2f}" for value in values), told))
    report(record, "\n\n".join([aligned(rows), requirement_table(record.requirements)]), options)
    return 0


if __name__ == "__main__":
    main(run)
