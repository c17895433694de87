"""Evaluation of a checkpoint, a bundle or a server on labeled faces, from options to document."""

from __future__ import annotations

import dataclasses
import datetime
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lnlattennet._version import __version__
from lnlattennet.data._records import FacesOption
from lnlattennet.errors import UsageError
from lnlattennet.evaluation._class_match import match_classes
from lnlattennet.evaluation._data import SYNTHETIC_IMAGES, EvaluationData, dataset_faces, rendered_faces
from lnlattennet.evaluation._figures import Figures, compute_figures
from lnlattennet.evaluation._occlusion import cover
from lnlattennet.evaluation._predictions import DatasetPredictions, predict_data
from lnlattennet.evaluation.predictors._base import Predictor
from lnlattennet.evaluation.predictors._open import open_predictor
from lnlattennet.model._provenance import SYNTHETIC
from lnlattennet.training._calibration import TEMPERATURES

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Options of one evaluation.

    Attributes:
        model: checkpoint file, bundle folder or URL of a server.
        data: path of a data set, or ``synthetic``.
        format: layout of the data set; None detects it.
        faces: auto, crop or as-is, how faces are made from its images (``load_dataset``).
        split: train, val, test or all; None takes what the model's training held out, else test, val or all.
        images: number of faces to render; None is 2,100. Only for ``synthetic``.
        engine: name of a bundle's engine; None takes the selected one, "any" one that runs here.
        temperature: number that divides the logits for confidences; None takes the model's own, or 1.
        covered_regions: number of regions of every face that are covered.
        common_classes: evaluate only the classes that both model and data have.
        seed: seed of rendered faces, covered regions and resamples.
        allow_pickle: accept a pickled training checkpoint.
        command: command line, for the report.

    Raises:
        UsageError: options that break a rule or contradict each other.
    """

    model: str
    data: str
    format: str | None = None
    faces: FacesOption = "auto"
    split: str | None = None
    images: int | None = None
    engine: str | None = None
    temperature: float | None = None
    covered_regions: int = 0
    common_classes: bool = False
    seed: int = 0
    allow_pickle: bool = False
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.data == SYNTHETIC and self.format is not None:
            raise UsageError(f"--format {self.format} names a layout of files, and --data synthetic has none")
        if self.data == SYNTHETIC and self.faces != "auto":
            raise UsageError(f"--faces {self.faces} is for data sets: rendered faces are crops already")
        if self.data != SYNTHETIC and self.images is not None:
            raise UsageError(
                f"--images {self.images} is for --data synthetic only; choose faces with --split"
            )
        low, high = TEMPERATURES
        if self.temperature is not None and not low <= self.temperature <= high:
            raise UsageError(f"--temperature must be from {low:g} to {high:g}, got {self.temperature}")


@dataclass(frozen=True, kw_only=True)
class EvaluationDocument:
    """Content of `report.json` and of the JSON document on stdout, in its order.

    Attributes:
        lnlattennet: version of this package.
        created: time in UTC, ISO 8601.
        command: command line.
        model: kind, name, hashes and runtime of the model; of a checkpoint also its parameters and what it
            was trained on.
        data: name, format, split, and number of faces in all and per class.
        covered_regions: number of covered regions per face.
        regions: number of regions, K.
        temperature_from: "model", "command line", or "default" for 1.
        notes: caveats about the figures.
        figures: metrics, which are at the document's top level.
        throughput: durations and speeds (``DatasetPredictions.throughput``).
    """

    lnlattennet: str
    created: str
    command: tuple[str, ...]
    model: Mapping[str, str]
    data: Mapping[str, Any]
    covered_regions: int
    regions: int
    temperature_from: str
    notes: tuple[str, ...]
    figures: Figures
    throughput: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        document: dict[str, Any] = dataclasses.asdict(self)
        figures, throughput = document.pop("figures"), document.pop("throughput")
        return {**document, **figures, "throughput": throughput}


@dataclass(frozen=True)
class Evaluation:
    """Result of an evaluation.

    Attributes:
        document: all figures.
        data: evaluated faces.
        predictions: predictions of the model for these faces.
    """

    document: EvaluationDocument
    data: EvaluationData
    predictions: DatasetPredictions


def evaluate(options: EvaluationOptions) -> Evaluation:
    """Predict the faces and compare the predictions with their labels.

        print(evaluate(EvaluationOptions(model="build/mine", data="FOLDER")).document.figures.accuracy)

    Raises:
        UsageError, DataError, ImageError: the data cannot be used as asked.
        CheckpointError, BundleError, ServingError, UnavailableError: the model cannot.
    """
    with open_predictor(options.model, options.engine, allow_pickle=options.allow_pickle) as predictor:
        temperature, temperature_from = _choose_temperature(options, predictor)
        data = _load_data(options, predictor)
        match = match_classes(predictor.class_names, data.class_names, common_only=options.common_classes)
        faces = int((match.label_of[data.labels] >= 0).sum())
        _log.info("evaluating %s on %d faces of %s", options.model, faces, data.name)
        covering = partial(cover, grid=predictor.grid, count=options.covered_regions, seed=options.seed)
        transform = covering if options.covered_regions else None
        predictions = predict_data(predictor, data, match, temperature=temperature, transform=transform)
    preparation_notes = data.preparation.notes() if data.preparation else ()
    figures = compute_figures(
        predictions.logits,
        predictions.labels,
        match.class_names,
        temperature=temperature,
        seed=options.seed,
    )
    document = EvaluationDocument(
        lnlattennet=__version__,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=options.command,
        model=predictor.description,
        data=data.summary(),
        covered_regions=options.covered_regions,
        regions=predictor.grid**2,
        temperature_from=temperature_from,
        notes=(
            *predictor.notes,
            *data.notes,
            *preparation_notes,
            *match.notes,
            *_temperature_notes(figures),
        ),
        figures=figures,
        throughput=predictions.throughput(),
    )
    return Evaluation(document, data, predictions)


def _choose_temperature(options: EvaluationOptions, predictor: Predictor) -> tuple[float, str]:
    """Return the temperature, and whose it is.

    Raises:
        UsageError: none was given, and the one that the model states is no positive number.
    """
    stated = predictor.temperature
    if options.temperature is not None:
        return options.temperature, "command line"
    if stated is None:
        return 1.0, "default"
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not 0 < stated < math.inf:
        raise UsageError(
            f"the model's stored temperature must be a positive number, got {stated!r}; give --temperature"
        )
    return float(stated), "model"


def _temperature_notes(figures: Figures) -> tuple[str, ...]:
    """Warn of a temperature that does harm here: it was fitted on other faces, and maybe on few."""
    before, after = figures.calibration["before"], figures.calibration.get("after")
    if after is None or after.ece <= before.ece:
        return ()
    return (
        f"temperature {after.temperature:.3f} makes the confidence of these faces worse: "
        f"ECE {after.ece:.1%}, and {before.ece:.1%} without it; --temperature 1 leaves it out, and a "
        "training with more validation faces fits a better one",
    )


def _load_data(options: EvaluationOptions, predictor: Predictor) -> EvaluationData:
    if options.data == SYNTHETIC:
        images = SYNTHETIC_IMAGES if options.images is None else options.images
        return rendered_faces(
            options.split, images, options.seed, predictor.preprocessing, predictor.provenance
        )
    from lnlattennet.data import load_dataset

    data = load_dataset(Path(options.data), options.format, faces=options.faces)
    return dataset_faces(data, options.split, predictor.preprocessing, predictor.provenance)
