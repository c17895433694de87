"""Actor that scores shards: one engine with one thread, on one core."""

from __future__ import annotations

import dataclasses
import pickle
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from pyarrow import fs

from lnlattennet._command import on_one_line
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import DataError, LnlAttenNetError
from lnlattennet.streams._answers import Task, batched
from lnlattennet.streams._local import BATCH, Faces, Worker
from lnlattennet.streams._rows import Model, Row
from lnlattennet.streams.cluster._output import Output
from lnlattennet.streams.cluster._place import Place
from lnlattennet.streams.cluster._read import frames
from lnlattennet.streams.cluster._shards import Shard


@dataclass(frozen=True)
class PackedBundle:
    """Files of a bundle on their way to machines that do not have it: path in the bundle -> content."""

    files: Mapping[str, bytes]

    @classmethod
    def of(cls, bundle: Bundle) -> PackedBundle:
        """Read the files of a bundle that was verified."""
        names = [path for path in sorted(bundle.path.rglob("*")) if path.is_file()]
        return cls({path.relative_to(bundle.path).as_posix(): path.read_bytes() for path in names})

    def worker(self, engine: str, faces: Faces) -> Worker:
        """Unpack and verify the bundle, load an engine with one thread, and leave no file behind."""
        with tempfile.TemporaryDirectory(prefix="lnlattennet-") as folder:
            for name, content in self.files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            return Worker(Bundle.load(folder), engine, faces)


@dataclass(frozen=True)
class Job:
    """What every worker of a run is given.

    Attributes:
        bundle: with the model.
        engine: name of its engine.
        model: for the rows.
        sources: that the shards were found in.
        column: column with the images of Parquet files.
        output: takes the rows.
        faces: which faces of an image are judged.
    """

    bundle: PackedBundle
    engine: str
    model: Model
    sources: tuple[Place, ...]
    column: str
    output: Output
    faces: Faces


@dataclass(frozen=True)
class ShardResult:
    """What became of one shard.

    Attributes:
        shard: its number.
        images: how many it has, readable or not.
        unreadable: how many of them cannot be read.
        rows: of its part.
        error: why there is no part; "" if there is one.
        fatal: whether the next shard would fail as well.
    """

    shard: int
    images: int = 0
    unreadable: int = 0
    rows: int = 0
    error: str = ""
    fatal: bool = False


class ShardScorer:
    """Scores the shards that it is given, one after the other; Ray Data keeps one in each worker process.

    Errors are results: Ray would wrap them, and stop the run at the first of them.

    Args:
        job: what is to be done.
        may_begin: tells of a shard whether it did not end too many workers yet.
    """

    def __init__(self, job: Job, may_begin: Callable[[int], bool]) -> None:
        cv2.setNumThreads(1)
        self._job, self._may_begin = job, may_begin
        self._broken = ""
        try:
            self._require_reached()
            self._worker = job.bundle.worker(job.engine, job.faces)
        except (LnlAttenNetError, OSError) as error:
            self._broken = on_one_line(str(error))

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Score the one shard of a batch: its number and its pickled ``Shard``."""
        result = self._result(int(batch["shard"][0]), pickle.loads(batch["content"][0]))  # noqa: S301
        return {name: [value] for name, value in dataclasses.asdict(result).items()}

    def _result(self, number: int, shard: Shard) -> ShardResult:
        if self._broken:
            return ShardResult(number, error=self._broken, fatal=True)
        if not self._may_begin(number):
            return ShardResult(
                number,
                error=f"{shard.name} ended every worker that scored it: leave out the image that does it",
            )
        try:
            images, unreadable, rows = 0, 0, list[Row]()
            for batch in batched(frames(shard, self._job.column), BATCH):
                answers = self._worker([Task(frame) for frame in batch])
                images += len(batch)
                unreadable += sum(bool(answer.error) for answer in answers)
                for frame, answer in zip(batch, answers, strict=True):
                    rows += answer.rows(frame, self._job.model)
        except LnlAttenNetError as error:
            return ShardResult(number, error=on_one_line(str(error)))
        try:
            self._job.output.write(number, rows)
        except OSError as error:
            name = on_one_line(self._job.output.place.name)
            return ShardResult(
                number, error=f"{name} cannot be written: {error.strerror or error}", fatal=True
            )
        return ShardResult(number, images, unreadable, len(rows))

    def _require_reached(self) -> None:
        self._job.output.require_reached()
        for source in self._job.sources:
            if source.filesystem.get_file_info(source.inner_bytes).type == fs.FileType.NotFound:
                raise DataError(
                    f"there is no {on_one_line(source.name)} on a node of the cluster: take a file system "
                    "that every node mounts, or an object store"
                )
