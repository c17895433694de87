"""All that `lnlattennet explain` does: pictures and one index of everything that it found."""

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
from lnlattennet.evaluation.explain._data import explain_data, explain_synthetic
from lnlattennet.evaluation.explain._drawing import save_png
from lnlattennet.evaluation.explain._history import WeightHistory, read_history
from lnlattennet.evaluation.explain._history_images import history_strip, save_animation
from lnlattennet.evaluation.explain._images import explain_images, panel_paths
from lnlattennet.model._checkpoint import CheckpointInfo, load_checkpoint
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._provenance import SYNTHETIC

INDEX = "explanations.json"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to explain.

    Attributes:
        checkpoint: the network.
        output: folder for pictures and index.
        images: picture files.
        data: path of a data set, or "synthetic".
        format: layout of the data set; None to detect it.
        split: part of the data set; None for its default.
        count: faces of the data; None for all, or 350 synthetic ones.
        region: whose affinity is shown; None for the highest weighted one.
        history: a training run's folder.
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


def run(request: Request) -> dict[str, Any]:
    """Explain what was asked for.

    Returns:
        The index, also written to `explanations.json`; "files" lists every file.

    Raises:
        UsageError: the request breaks a rule.
        CheckpointError, DataError, ImageError: an input cannot be used.
    """
    checkpoint = load_checkpoint(request.checkpoint, allow_pickle=request.allow_pickle)
    info = checkpoint.info
    network = checkpoint.network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    regions = info.config.regions
    if request.region is not None and request.region >= regions:
        raise UsageError(
            f"--region must be from 0 to {regions - 1}, counted row by row, got {request.region}"
        )
    if request.output.exists() and not request.output.is_dir():
        raise UsageError(f"--output must be a folder, got the file {request.output}")
    paths = panel_paths(request.output, request.images)
    # Cheap and easily wrong, so it is read before minutes of work.
    history = None if request.history is None else _history(request.history, regions)
    document: dict[str, Any] = {
        "checkpoint": printable(request.checkpoint),
        "grid": info.config.grid,
        "region_numbers": "row by row over the face, from 0",
    }
    files = list(paths)
    if request.images:
        document["images"] = explain_images(network, info, request.images, paths, request.region)
    if request.data is not None:
        document["data"] = _explain_data(network, info, request, files)
    if history is not None:
        document["history"] = history.to_dict()
        files += _draw_history(history, request.output)
    index = request.output / INDEX
    document["files"] = [printable(path) for path in (*files, index)]
    with replace_file(index) as draft:
        draft.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return document


def _history(run_folder: Path, regions: int) -> WeightHistory:
    history = read_history(run_folder)
    if history.weights.shape[1] != regions:
        raise DataError(
            f"the run in {run_folder} has {history.weights.shape[1]} regions, the checkpoint {regions}: give "
            "the run that made this checkpoint"
        )
    return history


def _explain_data(
    network: LNLAttenNet, info: CheckpointInfo, request: Request, files: list[Path]
) -> dict[str, Any]:
    name = str(request.data)
    _log.info("explaining the faces of %s", name)
    if name == SYNTHETIC:
        means, facts = explain_synthetic(network, info, request.count)
    else:
        means, facts = explain_data(network, info, Path(name), request.format, request.split, request.count)
    region = int(means.mean_weights().argmax()) if request.region is None else request.region
    rows = means.means()
    title = "rendered faces" if name == SYNTHETIC else printable(Path(name).name)
    picture = request.output / "classes.png"
    save_png(class_panel(rows, grid=info.config.grid, region=region, name=title), picture)
    files.append(picture)
    table = {"name": printable(name), "faces": int(means.counts.sum()), "region": region}
    return table | {"picture": printable(picture), "classes": [row.to_dict(region) for row in rows]} | facts


def _draw_history(history: WeightHistory, output: Path) -> list[Path]:
    strip, animation = output / "history.png", output / "history.gif"
    save_png(history_strip(history), strip)
    save_animation(history, animation)
    return [strip, animation]
