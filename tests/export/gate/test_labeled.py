"""Accuracy on labeled faces, as an export records it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnlattennet.data._labeled import LabeledSource
from lnlattennet.export.gate._limits import parse_limits
from lnlattennet.export.gate._verification import create_verifier, torch_reference
from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._base import Arrays, BatchRange


def test_engines_are_compared_with_the_checkpoint_on_labeled_faces(checkpoint_path: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    classes = len(checkpoint.info.class_names)
    rng = np.random.default_rng(0)
    size = checkpoint.info.preprocessing.size
    images = rng.integers(0, 256, (11, size, size, 3), np.uint8)
    run = torch_reference(checkpoint.network())
    right = run(checkpoint.info.preprocessing.normalize(images))["logits"].argmax(axis=1)

    def read(_: Preprocessing) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        # The data lists its classes backward; the checkpoint is wrong about the first face only.
        labels = classes - 1 - right
        labels[0] = (labels[0] + 1) % classes
        return images, labels

    def engine(inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        return run(inputs[INPUT_NAME])

    def broken(inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        outputs = engine(inputs)
        return outputs | {"logits": np.roll(outputs["logits"], 1, axis=1)}

    source = LabeledSource("random faces", np.arange(classes)[::-1], read)
    verifier = create_verifier(checkpoint, 32, BatchRange(1, 4, 8), source)
    limits = parse_limits("fp32", {})
    drop = verifier.check("same", engine, limits)[-1]
    assert (drop.metric, drop.value, drop.passed) == ("accuracy_drop", 0, True)
    drop = verifier.check("broken", broken, limits)[-1]
    assert (drop.passed, drop.sample) == (False, 1)
    record = verifier.labeled_record()
    assert record is not None
    assert (record.name, record.faces, record.checkpoint_accuracy[0]) == ("random faces", 11, 10 / 11)
    assert record.engines["same"] == record.checkpoint_accuracy
    assert record.engines["broken"][0] <= 1 / 11
