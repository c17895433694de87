"""Run of `score`: plan, claim the table, let the cluster fill it, and see that nothing is missing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lnlattennet._command import on_one_line
from lnlattennet._version import __version__
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import ServingError, UsageError
from lnlattennet.images._face_crop import check_face_limits
from lnlattennet.streams._local import Faces
from lnlattennet.streams._rows import Columns, Model
from lnlattennet.streams.cluster._output import Manifest, Output
from lnlattennet.streams.cluster._place import Place
from lnlattennet.streams.cluster._ray import connected, run_shards
from lnlattennet.streams.cluster._shards import Plan, plan_shards
from lnlattennet.streams.cluster._worker import Job, PackedBundle, ShardResult

_log = logging.getLogger(__name__)

_MOST_FAILED = 8
"""Shards that may fail before the run stops: more of them have one cause."""


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """What is scored, by what, and where.

    Attributes:
        sources: paths or URLs of image, Parquet and tar files, and of folders of them.
        bundle: folder of the bundle.
        output: path or URL of the table, a folder of Parquet files.
        cluster: "local", "auto" or HOST:PORT.
        workers: number of workers, each on a core; None for all cores of the cluster.
        engine: name of the engine; None for the selected one.
        resume: go on with a table that is there.
        shard_images: images of a shard, at most.
        column: column with the images of Parquet files.
        max_faces: faces of an image, at most; None for the largest.
        min_face: pixels below which a face is too small.
    """

    sources: Sequence[str]
    bundle: Path
    output: str
    cluster: str = "local"
    workers: int | None = None
    engine: str | None = None
    resume: bool = False
    shard_images: int = 1000
    column: str = "image"
    max_faces: int | None = None
    min_face: float = 0


@dataclass
class ScoreResult:
    """What a run did.

    Attributes:
        shards: number of all shards.
        done_before: of them were done by earlier runs.
        done: of them were done by this run.
        images: scored by this run, readable or not.
        unreadable: of them.
        rows: written by this run.
    """

    shards: int
    done_before: int
    done: int = 0
    images: int = 0
    unreadable: int = 0
    rows: int = 0


Progress = Callable[[ScoreResult], None]
"""Told after each shard what was done so far."""


def score(options: ScoreOptions, progress: Progress = lambda result: None) -> ScoreResult:
    """Score images on a Ray cluster into one Parquet table: one row for each face, or image without one.

    The rows are in the order of the sources, whichever worker made them. A run that was killed goes on with
    ``resume``: what is lost is the shards that were under way, at most one for each worker.

    Raises:
        BundleError: there is no such bundle or engine.
        DataError: there are no images, or what tells of the table that is there is damaged.
        ServingError: the cluster failed, or shards could not be scored; the rest is done.
        UnreachableError: no cluster answers.
        UsageError: an option breaks a rule, or the table that is there was made of something else.
        OSError: the table cannot be written, or a source cannot be listed.
    """
    check_face_limits(options.max_faces, options.min_face)
    bundle = Bundle.load(options.bundle)
    engine = bundle.engine_name(options.engine, 1)
    model = Model.of(bundle, engine)
    sources = tuple(map(Place.of, options.sources))
    output = Output(Place.of(options.output), Columns(model.class_names, model.regions))
    _require_apart(sources, output.place)
    plan = plan_shards(sources, options.shard_images, options.column)
    _log.info("%s", _described(plan))
    identity = Manifest(
        version=__version__,
        model_hash=model.model_hash,
        preprocessing_id=model.preprocessing_id,
        source_digest=plan.digest,
        shards=len(plan.shards),
        column=options.column,
        max_faces=options.max_faces,
        min_face=options.min_face,
    )
    job = Job(
        bundle=PackedBundle.of(bundle),
        engine=engine,
        model=model,
        sources=sources,
        column=options.column,
        output=output,
        faces=Faces(options.max_faces, options.min_face),
    )
    with output.claimed(identity, options.resume) as done:
        result = ScoreResult(len(plan.shards), len(done))
        if len(done) < len(plan.shards):
            with connected(options.cluster, options.workers) as workers:
                _run(job, plan, done, workers, result, progress)
        missing = output.missing(len(plan.shards))
    if missing:
        raise ServingError(
            f"{len(missing):,} of {len(plan.shards):,} parts are not in {on_one_line(output.place.name)}, "
            "though they were written: take a place that every node shares, and go on by --resume"
        )
    return result


def _run(
    job: Job, plan: Plan, done: frozenset[int], workers: int, result: ScoreResult, progress: Progress
) -> None:
    todo = {number: shard for number, shard in enumerate(plan.shards) if number not in done}
    failed: list[ShardResult] = []
    for ended in run_shards(job, todo, workers):
        if ended.error:
            failed.append(ended)
            if ended.fatal or len(failed) > _MOST_FAILED:
                break
            continue
        result.done += 1
        result.images += ended.images
        result.unreadable += ended.unreadable
        result.rows += ended.rows
        progress(result)
    if failed:
        raise ServingError(f"{len(failed):,} shards failed: {failed[-1].error}; go on by --resume")


def _described(plan: Plan) -> str:
    others = f"; left out {plan.others:,} files that are none" if plan.others else ""
    return f"{len(plan.shards):,} shards of images{others}"


def _require_apart(sources: Sequence[Place], output: Place) -> None:
    origin, path = output.real
    for source in sources:
        source_origin, source_path = source.real
        if origin == source_origin and f"{path}/".startswith(f"{source_path.rstrip('/')}/"):
            raise UsageError(
                f"{on_one_line(output.name)} lies in the source {on_one_line(source.name)}, and the "
                "next run would take it for images: choose a place outside"
            )
