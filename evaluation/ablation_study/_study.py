"""Training of every ablation on the same faces in the same order, with one evaluation for all."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lnlattennet.evaluation._crucial_regions import KnownFaces, crucial_region_figures, render_known_faces
from lnlattennet.evaluation._occlusion import occlusion_curve
from lnlattennet.evaluation.ablation_study._options import DataSetStudyOptions, StudyOptions
from lnlattennet.evaluation.ablation_study._record import Run, StudyRecord, read_record
from lnlattennet.evaluation.predictors._base import Faces
from lnlattennet.model._checkpoint import CheckpointInfo
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.training._ablations import ABLATIONS
from lnlattennet.training._data import open_training_data
from lnlattennet.training._datamodule import FaceBatches
from lnlattennet.training._module import ExpressionTraining
from lnlattennet.training._train import loss_weights
from lnlattennet.training._trainer import build_run, quiet_lightning

Options = StudyOptions | DataSetStudyOptions

_log = logging.getLogger(__name__)


def run_study(options: Options, path: Path) -> StudyRecord:
    """Train and evaluate what the record at ``path`` does not hold yet; it is written after each run.

    Raises:
        UsageError: the record was begun with other settings.
        DataError: the data set cannot be used.
    """
    record = read_record(path, options)
    done = {(run.ablation, run.seed) for run in record.runs}
    for seed in options.seeds:
        missing = [name for name in ABLATIONS if (name, seed) not in done]
        if not missing:
            continue
        with _prepared(options, seed) as data:
            faces = _test_faces(options, seed, data)
            for name in missing:
                _log.info("seed %d: training %s", seed, name)
                record.runs.append(_run(name, seed, options, data, faces))
                record.write(path)
    # Read again with rounded figures, so that a later run from the record makes the same table.
    return read_record(path, options)


@contextmanager
def _prepared(options: Options, seed: int) -> Iterator[FaceBatches]:
    """Render or read one seed's faces once for all ablations."""
    with tempfile.TemporaryDirectory() as folder:
        training = options.training(seed, Path(folder))
        [training_data] = open_training_data(training)
        data = FaceBatches(training_data, training_data.preprocessing, training)
        data.prepare_data()
        data.setup()
        # The trainer would ask for it again, and get the same faces for minutes of rendering.
        data.prepare_data = lambda: None  # type: ignore[method-assign]
        yield data


def _test_faces(options: Options, seed: int, data: FaceBatches) -> KnownFaces:
    """Return the faces to evaluate on; those of a data set have no known change."""
    if isinstance(options, StudyOptions):
        return render_known_faces(
            options.test_images, seed, size=options.network.image_size, grid=options.network.grid
        )
    split = data.data.evaluation_split
    labels = data.data.labels[split]
    change = np.zeros((len(labels), options.network.regions), np.float32)
    return KnownFaces(data.prepared(split), labels, change)


def _run(name: str, seed: int, options: Options, data: FaceBatches, faces: KnownFaces) -> Run:
    with tempfile.TemporaryDirectory() as folder, quiet_lightning():
        network, seconds = _train(name, options, seed, data, Path(folder))
    logits, grid = partial(_output, network, "logits"), options.network.grid
    regions = None
    if faces.change.any():
        weights = [_output(network, "region_weights", batch.images) for batch in faces.chunks()]
        regions = crucial_region_figures(np.concatenate(weights), faces.change)
    return Run(
        ablation=name,
        seed=seed,
        training_seconds=round(seconds),
        occlusion=occlusion_curve(logits, faces.images, faces.labels, grid),
        crucial_regions=regions,
    )


def _train(
    name: str, options: Options, seed: int, data: FaceBatches, folder: Path
) -> tuple[nn.Module, float]:
    L.seed_everything(seed, workers=True, verbose=False)
    class_names = data.data.class_names
    network = ABLATIONS[name](dataclasses.replace(options.network, classes=len(class_names)))
    info = CheckpointInfo(
        config=network.config,
        class_names=class_names,
        preprocessing=data.preprocessing,
    )
    training = dataclasses.replace(options.training(seed, folder), network=network.config)
    module = ExpressionTraining(info, training, loss_weights(training, data.data))
    module.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = build_run(training)
    run.trainer.fit(module, datamodule=data)
    return module.network.eval(), run.timer.time_elapsed("train")


def _output(network: nn.Module, name: str, faces: Faces) -> NDArray[np.float32]:
    images = torch.from_numpy(Preprocessing(size=faces.shape[1]).normalize(faces))
    with torch.inference_mode():
        return np.asarray(getattr(network(images), name).float().numpy())
