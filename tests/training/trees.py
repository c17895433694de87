"""Tiny trees of images, made by the tests, and options for runs of seconds on them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lnlattennet.data.synthetic import render_face
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.training._data import TrainingData
from lnlattennet.training._options import TrainingOptions
from lnlattennet.training._results import TrainingResult
from lnlattennet.training._train import train

CLASSES = ("anger", "happiness", "surprise")
TINY = NetworkConfig(
    image_size=16, widths=(4, 6), channels=6, local_features=4, affinity_features=8, grid=2, classes=3
)


def write_faces(folder: Path, label: str, count: int, first_seed: int = 0) -> None:
    """Write `folder/label/NNN.png`, images of 24 x 20 pixels."""
    (folder / label).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        face = render_face(first_seed + index, label, size=24, with_regions=False).image
        Image.fromarray(np.ascontiguousarray(face[:, 2:22])).save(folder / label / f"{index:03}.png")


def write_tree(root: Path, **counts: int) -> Path:
    """Write `root/SPLIT/CLASS/*.png` with this many faces of every class in a split."""
    for place, (split, count) in enumerate(counts.items()):
        for label in CLASSES:
            write_faces(root / split, label, count, 1000 * place)
    return root


def write_shards(tree: Path, folder: Path, samples: int = 7) -> Path:
    """Write the faces of ``tree`` in their order as WebDataset shards of at most so many samples."""
    folder.mkdir()
    for split in sorted(path.name for path in tree.iterdir()):
        images = sorted((tree / split).glob("*/*.png"))
        for start in range(0, len(images), samples):
            with tarfile.open(folder / f"{split}-{start:06}.tar", "w") as archive:
                for image in images[start : start + samples]:
                    key, label = f"{image.parent.name}-{image.stem}", image.parent.name.encode()
                    archive.add(image, f"{key}.png")
                    member = tarfile.TarInfo(f"{key}.cls")
                    member.size = len(label)
                    archive.addfile(member, io.BytesIO(label))
    return folder


def train_one(options: TrainingOptions) -> TrainingResult:
    """Train one run and return its result."""
    result = train(options)
    assert isinstance(result, TrainingResult)
    return result


def options(folder: Path, tree: Path | str, **changes: Any) -> TrainingOptions:
    """Return options of a short run that writes `folder/a.safetensors`."""
    chosen: dict[str, Any] = {
        "output": folder / "a.safetensors",
        "run_folder": folder / "runs" / "a",
        "network": TINY,
        "data": str(tree),
        "epochs": 3,
        "batch_size": 6,
        "learning_rate": 2e-2,
        "weight_decay": 1e-2,
        "seed": 3,
        "workers": 2,
    }
    return TrainingOptions(**(chosen | changes))


def prepared(source: TrainingData, split: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The faces of a split as a network of 16 pixels takes them, uint8 [N, 16, 16, 3]."""
    out = np.empty((len(source.labels[split]), 16, 16, 3), np.uint8)
    source.fill(split, Preprocessing(size=16), out)
    return out
