"""Explanations of a checkpoint: images, and an index of everything that they show."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lnlattennet._atomic import replace_file
from lnlattennet._command import printable
from lnlattennet.errors import DataError, UsageError
from lnlattennet.evaluation.explain._class_panel import class_panel
from lnlattennet.evaluation.explain._data import (
    DataExplanation,
    DatasetFacts,
    RenderedScores,
    explain_data,
    explain_synthetic,
)
from lnlattennet.evaluation.explain._drawing import save_png
from lnlattennet.evaluation.explain._history import WeightHistory, read_history
from lnlattennet.evaluation.explain._history_images import history_strip, save_animation
from lnlattennet.evaluation.explain._images import ImageExplanation, explain_images, panel_paths
from lnlattennet.model._checkpoint import CheckpointInfo, load_checkpoint
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._provenance import SYNTHETIC

INDEX = "explanations.json"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ExplanationOptions:
    """Options of one explanation.

    Attributes:
        checkpoint: checkpoint of the network.
        output: folder for images and index.
        images: image files of faces.
        data: path of a data set, or "synthetic".
        format: layout of the data set; None to detect it.
        split: part of the data set; None for its default.
        count: number of faces of the data; None for all, or 350 synthetic ones.
        region: region whose affinity is shown; None for the highest weighted one.
        history: folder of a training run.
        allow_pickle: accept a pickled training checkpoint.
    """

    checkpoint: Path
    output: Path
    images: tuple[Path, ...] = ()
    data: str | None = None
    format: str | None = None
    split: str | None = None
    count: int | None = None
    region: int | None = None
    history: Path | None = None
    allow_pickle: bool = False


@dataclass(frozen=True, kw_only=True)
class ExplanationIndex:
    """Content of `explanations.json`; what was not asked for is None.

    Attributes:
        checkpoint: path of the checkpoint.
        grid: regions per side.
        images: explanation of each image.
        data: explanation of the data set.
        history: course of the region weights in training.
        files: every file that was written.
    """

    checkpoint: str
    grid: int
    images: list[ImageExplanation] | None
    data: DataExplanation | None
    history: WeightHistory | None
    files: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        document: dict[str, Any] = {
            "checkpoint": self.checkpoint,
            "grid": self.grid,
            "region_numbers": "row by row over the face, from 0",
        }
        if self.images is not None:
            document["images"] = [vars(image) for image in self.images]
        if self.data is not None:
            document["data"] = self.data.to_dict()
        if self.history is not None:
            document["history"] = self.history.to_dict()
        return document | {"files": self.files}


def explain_checkpoint(options: ExplanationOptions) -> ExplanationIndex:
    """Draw and tabulate the requested explanations.

    Returns:
        The index, also written to `explanations.json`.

    Raises:
        UsageError: the options break a rule.
        CheckpointError, DataError, ImageError: an input cannot be used.
    """
    checkpoint = load_checkpoint(options.checkpoint, allow_pickle=options.allow_pickle)
    info = checkpoint.info
    network = checkpoint.network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    regions = info.config.regions
    if options.region is not None and options.region >= regions:
        raise UsageError(
            f"--region must be from 0 to {regions - 1}, counted row by row, got {options.region}"
        )
    if options.output.exists() and not options.output.is_dir():
        raise UsageError(f"--output must be a folder, got the file {options.output}")
    files = panel_paths(options.output, options.images)
    # Cheap and easily wrong, so it is read before minutes of work.
    history = None if options.history is None else _history(options.history, regions)
    images = explain_images(network, info, options.images, files, options.region) if options.images else None
    data = None
    if options.data is not None:
        files.append(options.output / "classes.png")
        data = _explain_data(network, info, options, files[-1])
    if history is not None:
        files += _draw_history(history, options.output)
    index = options.output / INDEX
    result = ExplanationIndex(
        checkpoint=printable(options.checkpoint),
        grid=info.config.grid,
        images=images,
        data=data,
        history=history,
        files=[printable(path) for path in (*files, index)],
    )
    with replace_file(index) as draft:
        draft.write_text(json.dumps(result.to_dict(), indent=2) + "\n", encoding="utf-8")
    return result


def _history(run_folder: Path, regions: int) -> WeightHistory:
    history = read_history(run_folder)
    if history.weights.shape[1] != regions:
        raise DataError(
            f"the run in {run_folder} has {history.weights.shape[1]} regions, the checkpoint {regions}: give "
            "the run that made this checkpoint"
        )
    return history


def _explain_data(
    network: LNLAttenNet, info: CheckpointInfo, options: ExplanationOptions, panel: Path
) -> DataExplanation:
    name = str(options.data)
    _log.info("explaining the faces of %s", name)
    facts: DatasetFacts | RenderedScores
    if name == SYNTHETIC:
        means, facts = explain_synthetic(network, info, options.count)
    else:
        means, facts = explain_data(network, info, Path(name), options.format, options.split, options.count)
    region = int(means.mean_weights().argmax()) if options.region is None else options.region
    rows = means.means()
    title = "rendered faces" if name == SYNTHETIC else printable(Path(name).name)
    save_png(class_panel(rows, grid=info.config.grid, region=region, name=title), panel)
    return DataExplanation(
        name=printable(name),
        faces=int(means.counts.sum()),
        region=region,
        panel=printable(panel),
        classes=rows,
        facts=facts,
    )


def _draw_history(history: WeightHistory, output: Path) -> list[Path]:
    strip, animation = output / "history.png", output / "history.gif"
    save_png(history_strip(history), strip)
    save_animation(history, animation)
    return [strip, animation]
