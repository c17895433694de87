"""FER2013 with its original pixels, made of two public copies that each lack a part.

    python -m lnlattennet.benchmarks.leaderboard.fer2013_pixels --labels fer2013 --pixels FERPlus -o original

The copy with a folder per class has the labels, but the histograms of its images were equalized. FERPlus has
the original images under other names, without these labels. Equalizing keeps the order of the gray levels, so
both images of a photograph are nearly the same once both are equalized; the most alike are matched, one to
one. The few images that FERPlus left out, its voters having seen no face, are copied from the first copy.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnlattennet._atomic import replace_folder
from lnlattennet.benchmarks.harness._command import main, say
from lnlattennet.data._records import FaceData
from lnlattennet.data._registry import load_dataset
from lnlattennet.data.formats._fer2013 import USAGES
from lnlattennet.data.formats._ferplus import FOLDERS
from lnlattennet.errors import DataError, UsageError

_SMALL = 24
_CANDIDATES = 16
_LEAST_ALIKE = 0.5
"""Correlation of a pair's equalized images; the lowest of the real pairs, by eye, was 0.52."""
_ROWS = 1000

Gray = NDArray[np.uint8]
Floats = NDArray[np.float32]


def match(pixels: Sequence[Gray], labeled: Sequence[Gray]) -> dict[int, int]:
    """Match images [H, W] of the same photographs, whose gray levels may differ by an increasing curve.

    Returns:
        index in ``labeled`` -> index in ``pixels``, each at most once; blank images, and those that are like
        no other, are left out.
    """
    ours, theirs = [_equalized(image) for image in pixels], [_equalized(image) for image in labeled]
    rows, columns = _most_alike(_descriptors(ours, _SMALL), _descriptors(theirs, _SMALL))
    # The small copies only choose candidates: a person's photographs may look alike in them.
    alike = _alike(ours, theirs, rows, columns)
    partners: dict[int, int] = {}
    taken: set[int] = set()
    for pair in np.argsort(-alike, kind="stable").tolist():
        row, column = int(rows[pair]), int(columns[pair])
        if alike[pair] >= _LEAST_ALIKE and row not in taken and column not in partners:
            taken.add(row)
            partners[column] = row
    return partners


def _equalized(image: Gray) -> Gray:
    return np.asarray(cv2.equalizeHist(image), np.uint8)


def _descriptors(images: Sequence[Gray], side: int) -> Floats:
    """Return vectors [N, side * side] of length 1, whose product is the correlation of two images."""
    small = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in images]
    vectors = np.stack(small).reshape(len(images), -1).astype(np.float32)
    vectors -= vectors.mean(axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6), np.float32)


def _most_alike(ours: Floats, theirs: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return pairs of ``ours`` [N, D] with their most alike of ``theirs`` [M, D], as two lists of indices."""
    count = min(_CANDIDATES, len(theirs))
    best = [
        np.argpartition(-(ours[start : start + _ROWS] @ theirs.T), count - 1, axis=1)[:, :count]
        for start in range(0, len(ours), _ROWS)
    ]
    return np.repeat(np.arange(len(ours)), count), np.concatenate(best).ravel()


def _alike(
    ours: Sequence[Gray], theirs: Sequence[Gray], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> Floats:
    """Return the correlation of each pair of images in full size."""
    side = ours[0].shape[0]
    first, second = _descriptors(ours, side), _descriptors(theirs, side)
    starts = range(0, len(rows), _ROWS)
    parts = [slice(start, start + _ROWS) for start in starts]
    return np.concatenate([(first[rows[part]] * second[columns[part]]).sum(axis=1) for part in parts])


def join(labels: FaceData, pixels: Path, output: Path) -> None:
    """Write the tree of ``labels`` with the images of FERPlus's folder ``pixels``, as PNG.

    Raises:
        DataError: FERPlus lacks one of its folders, or has more images of a split than ``labels``.
    """
    parts = {folder: labels.split(USAGES[usage]) for folder, usage in FOLDERS.items()}
    files = {folder: _files(pixels / folder, len(part)) for folder, part in parts.items()}
    for folder, part in parts.items():
        labeled = [_gray(labels.root / face.name) for face in part.faces]
        partners = match([_gray(file) for file in files[folder]], labeled)
        for index, (face, image) in enumerate(zip(part.faces, labeled, strict=True)):
            target = (output / face.name).with_suffix(".png")
            target.parent.mkdir(parents=True, exist_ok=True)
            if index in partners:
                shutil.copyfile(files[folder][partners[index]], target)
            else:
                Image.fromarray(image).save(target)
        say(f"{folder}: {len(partners):,} of {len(part):,} images with their original pixels")


def _files(folder: Path, most: int) -> list[Path]:
    files = sorted(folder.glob("*.png"))
    if not 0 < len(files) <= most:
        raise DataError(
            f"{folder} must have images of FERPlus, *.png, and at most the {most:,} of the same part of "
            f"--labels; it has {len(files):,}: give --pixels the folder that holds "
            f"{', '.join(FOLDERS)}"
        )
    return files


def _gray(file: Path) -> Gray:
    with Image.open(file) as image:
        return np.asarray(image.convert("L"), np.uint8)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m lnlattennet.benchmarks.leaderboard.fer2013_pixels",
        description="FER2013 with its original pixels, made of two public copies that each lack a part.",
    )
    parser.add_argument("--labels", type=Path, required=True, help="FER2013 with a folder per class")
    parser.add_argument("--pixels", type=Path, required=True, help="FERPlus, as its scripts unpack it")
    parser.add_argument("--output", "-o", type=Path, required=True, help="folder to write; it must not exist")
    options = parser.parse_args(arguments)
    if options.output.exists():
        raise UsageError(f"--output {options.output} exists; choose another folder")
    labels = load_dataset(options.labels, "fer2013-folders")
    with replace_folder(options.output) as folder:
        join(labels, options.pixels, folder)
    return 0


if __name__ == "__main__":
    main(run)
