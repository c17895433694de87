"""Images in every kind of source, and their scores without a cluster."""

from __future__ import annotations

import io
import itertools
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.fs
import pyarrow.parquet
from PIL import Image

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.data.synthetic import EXPRESSIONS, render_face
from lnlattennet.streams._local import Faces
from lnlattennet.streams._rows import Columns, Model
from lnlattennet.streams.cluster._output import Manifest, Output
from lnlattennet.streams.cluster._place import Place
from lnlattennet.streams.cluster._shards import Plan, plan_shards
from lnlattennet.streams.cluster._worker import Job, PackedBundle, ShardResult, ShardScorer


def jpeg(seed: int) -> bytes:
    """A rendered face on a plain ground."""
    image = np.full((200, 240, 3), 120, np.uint8)
    face = render_face(seed, EXPRESSIONS[seed % len(EXPRESSIONS)], size=144, with_regions=False).image
    image[20:164, 30:174] = face
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_parquet(path: Path, values: list[Any], name: str = "image", rows: int = 4) -> Path:
    pyarrow.parquet.write_table(
        pyarrow.table({name: values, "id": range(len(values))}), path, row_group_size=rows
    )
    return path


def identity(model: Model, plan: Plan) -> Manifest:
    ids = (model.model_hash, model.preprocessing_id, plan.digest)
    return Manifest("0", *ids, shards=len(plan.shards), column="image", max_faces=None, min_face=0)


def job_of(bundle_path: Path, sources: list[Place], output: Place) -> Job:
    bundle = Bundle.load(bundle_path)
    manifest = bundle.manifest
    engine = bundle.engine_name()
    model = Model(
        tuple(manifest.class_names), manifest.grid**2, manifest.model_hash(engine), manifest.preprocessing.id
    )
    return Job(
        bundle=PackedBundle.of(bundle),
        engine=engine,
        model=model,
        sources=tuple(sources),
        column="image",
        output=Output(output, Columns(model.class_names, model.regions)),
        faces=Faces(),
    )


def score_here(
    bundle_path: Path,
    sources: list[str],
    output: str,
    images: int = 4,
    may_begin: Callable[[int], bool] = lambda shard: True,
) -> tuple[list[ShardResult], list[dict[str, Any]]]:
    """Score in this process what workers would; return what became of the shards, and the rows."""
    places = [Place.of(source) for source in sources]
    plan = plan_shards(places, images, "image")
    job = job_of(bundle_path, places, Place.of(output))
    with job.output.claimed(identity(job.model, plan), resume=False):
        scorer = ShardScorer(job, may_begin)
        answers = [
            scorer({"shard": [number], "content": [pickle.dumps(shard)]})
            for number, shard in enumerate(plan.shards)
        ]
    results = [ShardResult(**{name: values[0] for name, values in answer.items()}) for answer in answers]
    return results, rows_in(Place.of(output))


def rows_in(output: Place) -> list[dict[str, Any]]:
    """The rows of a table, in the order of its parts."""
    filesystem = output.filesystem
    names = sorted(
        info.path
        for info in filesystem.get_file_info(pyarrow.fs.FileSelector(output.inner))
        if info.base_name.startswith("part-")
    )
    tables = [pyarrow.parquet.read_table(name, filesystem=filesystem).to_pylist() for name in names]
    return list(itertools.chain(*tables))
