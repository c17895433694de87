"""AffectNet's npy release: images of faces with one small numpy file per annotation."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Set
from functools import lru_cache
from pathlib import Path

import numpy as np

from lnlattennet._command import printable
from lnlattennet.data._files import listing, readable
from lnlattennet.errors import DataError

SPLITS = {"train": "train_set", "val": "val_set"}
MOST_CODE = 10
_ANNOTATION = re.compile(r"(.+)_exp\.npy")


def unmatched(path: Path) -> list[str]:
    """Return images without an expression's file, and such files without an image."""
    names = []
    for folder in SPLITS.values():
        images = {Path(name).stem: name for name in _images(path / folder)}
        labeled = _annotated(path / folder)
        names += [f"{folder}/images/{images[key]}" for key in sorted(images.keys() - labeled)]
        names += [f"{folder}/annotations/{key}_exp.npy" for key in sorted(labeled - images.keys())]
    return names


def read_annotations(path: Path, passed_over: Set[str]) -> Iterator[tuple[str, str, int]]:
    """Give name, split and code of every image that is not to be passed over.

    Each annotation is a file of its own.

    Raises:
        DataError: a file that holds no code from 0 to 10.
    """
    for split, folder in SPLITS.items():
        for file in _images(path / folder):
            name = f"{folder}/images/{file}"
            if name not in passed_over:
                code = _code(path / folder / "annotations" / f"{Path(file).stem}_exp.npy")
                yield name, split, code


def _images(folder: Path) -> tuple[str, ...]:
    return listing(folder / "images").images if (folder / "images").is_dir() else ()


def _annotated(folder: Path) -> set[str]:
    names = listing(folder / "annotations").ignored if (folder / "annotations").is_dir() else ()
    return {match.group(1) for name in names if (match := _ANNOTATION.fullmatch(name))}


def _code(file: Path) -> int:
    with readable(file):
        content = file.read_bytes()
    try:
        code = _decoded(content)
    except (ValueError, EOFError) as error:
        problem = f"{printable(file)} holds no number of an expression: {error}"
        raise DataError(f"{problem}; unpack it again") from error
    if not 0 <= code <= MOST_CODE:
        raise DataError(
            f"{printable(file)} must hold a code from 0 to {MOST_CODE}, got {code}; unpack it again"
        )
    return code


# The 290,000 files have about ten different contents, and decoding takes longer than reading.
@lru_cache(maxsize=64)
def _decoded(content: bytes) -> int:
    return int(np.load(io.BytesIO(content), allow_pickle=False).item())
