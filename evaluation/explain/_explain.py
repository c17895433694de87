"""Explanations of a checkpoint: drawings, and an index of the values in them."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lnlattennet._atomic import replace_file
from lnlattennet._command import printable
from lnlattennet.data._records import FacesOption
from lnlattennet.errors import DataError, UsageError
from lnlattennet.evaluation.explain._data import explain_data, explain_synthetic
from lnlattennet.evaluation.explain._drawing import save_png
from lnlattennet.evaluation.explain._history import (
    WeightHistory,
    history_strip,
    read_history,
    save_animation,
)
from lnlattennet.evaluation.explain._images import explain_images, panel_paths
from lnlattennet.evaluation.explain._panels import class_panel
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
        output: folder of the drawings and the index.
        images: image files of faces.
        data: path of a data set, or "synthetic".
        format: layout of the data set; None to detect it.
        faces: how faces are made from its images: auto, crop or as-is.
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
    faces: FacesOption = "auto"
    split: str | None = None
    count: int | None = None
    region: int | None = None
    history: Path | None = None
    allow_pickle: bool = False


def explain_checkpoint(options: ExplanationOptions) -> dict[str, Any]:
    """Draw and tabulate the requested explanations.

    Returns:
        The index as plain JSON values, also written to `explanations.json`.

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
    # Read first: a wrong folder is reported at once, not after minutes of work.
    history = None if options.history is None else _history(options.history, regions)
    document: dict[str, Any] = {
        "checkpoint": printable(options.checkpoint),
        "grid": info.config.grid,
        "region_numbers": "row by row over the face, from 0",
    }
    if options.images:
        document["images"] = explain_images(network, info, options.images, files, options.region)
    if options.data is not None:
        files.append(options.output / "classes.png")
        document["data"] = _explain_data(network, info, options, files[-1])
    if history is not None:
        strip, animation = options.output / "history.png", options.output / "history.gif"
        save_png(history_strip(history), strip)
        save_animation(history, animation)
        files += [strip, animation]
        document["history"] = history.to_dict()
    files.append(options.output / INDEX)
    document["files"] = [printable(path) for path in files]
    with replace_file(files[-1]) as draft:
        draft.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return document


def _history(run_folder: Path, regions: int) -> WeightHistory:
    history = read_history(run_folder)
    if history.weights.shape[1] != regions:
        raise DataError(
            f"the run in {run_folder} has {history.weights.shape[1]} regions, the checkpoint {regions}: give "
            "the run of this checkpoint"
        )
    return history


def _explain_data(
    network: LNLAttenNet, info: CheckpointInfo, options: ExplanationOptions, panel: Path
) -> dict[str, Any]:
    name = str(options.data)
    _log.info("explaining the faces of %s", name)
    if name == SYNTHETIC:
        means, facts = explain_synthetic(network, info, options.count)
    else:
        means, facts = explain_data(
            network, info, Path(name), options.format, options.split, options.count, options.faces
        )
    region = int(means.mean_weights().argmax()) if options.region is None else options.region
    rows = means.means()
    title = "rendered faces" if name == SYNTHETIC else printable(Path(name).name)
    save_png(class_panel(rows, grid=info.config.grid, region=region, name=title), panel)
    return {
        "name": printable(name),
        "faces": int(means.counts.sum()),
        "region": region,
        "picture": printable(panel),
        "classes": [mean.to_dict(region) for mean in rows],
        **facts,
    }
