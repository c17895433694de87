"""One evaluation from its options to its figures."""

from __future__ import annotations

import datetime
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lnlattennet import __version__
from lnlattennet.errors import UsageError
from lnlattennet.evaluation._answers import Answers, Change, collect_answers
from lnlattennet.evaluation._class_match import match_classes
from lnlattennet.evaluation._figures import figures
from lnlattennet.evaluation._sources import SYNTHETIC_IMAGES, Source, data_source, synthetic_source
from lnlattennet.evaluation.predictors._base import Predictor, open_predictor
from lnlattennet.model._provenance import SYNTHETIC
from lnlattennet.training._calibration import TEMPERATURES

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """One evaluation.

    Attributes:
        model: a checkpoint file, a bundle folder or a server's URL.
        data: a data set's path, or ``synthetic``.
        format: the data set's layout; None detects it.
        split: train, val, test or all; None takes what the model's training held out, else test, val or all.
        images: how many faces to render; None is 2,100. Only for ``synthetic``.
        engine: of a bundle; None takes the selected one.
        temperature: divides the logits for confidences; None takes the model's own, or 1.
        covered_regions: regions of every face that are covered.
        common_classes: judge only the classes that both model and data have.
        seed: of rendered faces, covered regions and resamples.
        allow_pickle: accept a pickled training checkpoint.
        command: the command line, for the report.

    Raises:
        UsageError: options that break a rule or contradict each other.
    """

    model: str
    data: str
    format: str | None = None
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
        if self.data != SYNTHETIC and self.images is not None:
            raise UsageError(
                f"--images {self.images} is for --data synthetic only; choose faces with --split"
            )
        low, high = TEMPERATURES
        if self.temperature is not None and not low <= self.temperature <= high:
            raise UsageError(f"--temperature must be from {low:g} to {high:g}, got {self.temperature}")


@dataclass(frozen=True)
class Evaluation:
    """What came of it.

    Attributes:
        document: all figures, as plain JSON values.
        source: the faces that were judged on.
        answers: what the model said.
    """

    document: dict[str, Any]
    source: Source
    answers: Answers


def evaluate(options: EvaluationOptions) -> Evaluation:
    """Run the model over the faces and judge its answers.

    Raises:
        UsageError, DataError, ImageError: the data cannot be used as asked.
        CheckpointError, BundleError, ServingError, UnavailableError: the model cannot.
    """
    with open_predictor(options.model, options.engine, allow_pickle=options.allow_pickle) as predictor:
        source = _source(options, predictor)
        match = match_classes(predictor.class_names, source.class_names, common_only=options.common_classes)
        temperature = options.temperature or predictor.temperature or 1.0
        _log.info("evaluating %s on %d faces of %s", options.model, len(source.faces), source.name)
        answers = collect_answers(
            predictor, source, match, temperature=temperature, change=_change(options, predictor.grid)
        )
        judged = figures(
            answers.logits, answers.labels, match.class_names, temperature=temperature, seed=options.seed
        )
        facts = _facts(options, predictor, source, (*predictor.notes, *source.notes, *match.notes))
    return Evaluation(facts | judged | {"throughput": _throughput(answers)}, source, answers)


def _source(options: EvaluationOptions, predictor: Predictor) -> Source:
    if options.data == SYNTHETIC:
        images = SYNTHETIC_IMAGES if options.images is None else options.images
        return synthetic_source(options.split, images, options.seed, predictor.recipe, predictor.provenance)
    from lnlattennet.data import open_data

    data = open_data(Path(options.data), options.format)
    return data_source(data, options.split, predictor.recipe, predictor.provenance)


def _change(options: EvaluationOptions, grid: int) -> Change | None:
    if not options.covered_regions:
        return None
    from lnlattennet.evaluation._occlusion import cover

    return partial(cover, grid=grid, count=options.covered_regions, seed=options.seed)


def _facts(
    options: EvaluationOptions, predictor: Predictor, source: Source, notes: tuple[str, ...]
) -> dict[str, Any]:
    stored = "default" if predictor.temperature is None else "model"
    return {
        "lnlattennet": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": list(options.command),
        "model": predictor.description,
        "data": source.to_dict(),
        "covered_regions": options.covered_regions,
        "regions": predictor.grid**2,
        "temperature_from": stored if options.temperature is None else "command line",
        "notes": list(notes),
    }


def _throughput(answers: Answers) -> dict[str, float]:
    faces = len(answers.labels)
    return {
        "predict_seconds": round(answers.predict_seconds, 4),
        "total_seconds": round(answers.total_seconds, 4),
        "predict_faces_per_second": round(faces / answers.predict_seconds, 1),
        "total_faces_per_second": round(faces / answers.total_seconds, 1),
    }
