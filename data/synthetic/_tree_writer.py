"""Rendered faces as a data set on the disk, which the format `prepared` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from lnlattennet.data.formats._prepared import INDEX, index_fields
from lnlattennet.data.synthetic import EXPRESSIONS
from lnlattennet.data.synthetic._splits import rendered_chunks


def write_rendered(
    folder: Path, counts: Mapping[str, int], size: int, seed: int, workers: int
) -> dict[str, Any]:
    """Write the faces of `--data synthetic` as `SPLIT/CLASS/NUMBER.png`, and an index.

    Args:
        folder: an existing folder.
        counts: split -> number of faces; they are those that a training with this many renders.
        size: side in pixels.
        seed: seed of the run.
        workers: processes that render.

    Returns:
        The index's content, as plain JSON values.
    """
    for split, count in counts.items():
        for name in EXPRESSIONS:
            (folder / split / name).mkdir(parents=True)
        for numbers, images in rendered_chunks(split, count, size, seed=seed, workers=workers):
            for number, image in zip(numbers, images, strict=True):
                name = EXPRESSIONS[number % len(EXPRESSIONS)]
                Image.fromarray(image).save(folder / split / name / f"{number:06d}.png")
    document = {
        "data": "synthetic",
        "class_names": list(EXPRESSIONS),
        "size": size,
        "seed": seed,
        "images": dict(counts),
        **index_fields((), {}),
    }
    (folder / INDEX).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return document
