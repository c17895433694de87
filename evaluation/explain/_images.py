"""Single pictures: found, cropped and explained as `lnlattennet predict` sees them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet._command import printable
from lnlattennet.errors import ImageError, UsageError
from lnlattennet.evaluation.explain._drawing import save_png
from lnlattennet.evaluation.explain._face_panel import face_panel
from lnlattennet.evaluation.explain._internals import Explanation, explain_faces
from lnlattennet.images._decode import decode_image
from lnlattennet.images._face_detector import FaceFinder
from lnlattennet.model._checkpoint import CheckpointInfo
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._preprocessing import Preprocessing


def panel_paths(output: Path, images: Sequence[Path]) -> list[Path]:
    """Return where the panels go: numbered, because two pictures may have one name.

    Raises:
        UsageError: a panel would replace a picture that is to be explained.
    """
    paths = [output / f"face-{index}-{image.stem}.png" for index, image in enumerate(images, start=1)]
    given = {image.resolve() for image in images}
    for path in paths:
        if path.resolve() in given:
            raise UsageError(f"the panel {path} would replace a picture: choose another --output folder")
    return paths


def explain_images(
    network: LNLAttenNet,
    info: CheckpointInfo,
    images: Sequence[Path],
    paths: Sequence[Path],
    region: int | None,
) -> list[dict[str, Any]]:
    """Write a panel per picture and return its table.

    Args:
        network: of the checkpoint, in evaluation mode.
        info: of the same checkpoint.
        images: JPEG or PNG files.
        paths: where their panels go.
        region: whose affinity is shown; None for each picture's highest weighted one.

    Raises:
        ImageError: a file cannot be read as a picture; names it.
    """
    finder = FaceFinder(info.preprocessing.face_margin)
    rows = []
    for image, path in zip(images, paths, strict=True):
        face, found = _face(image, finder, info.preprocessing)
        explanation = explain_faces(network, info.preprocessing, face[None])
        shown = int(explanation.weights[0].argmax()) if region is None else region
        panel = face_panel(
            face,
            explanation,
            grid=info.config.grid,
            region=shown,
            class_names=info.class_names,
            name=printable(image.name),
        )
        save_png(panel, path)
        row = {"image": printable(image), "picture": printable(path), "face_found": found}
        rows.append(row | _table(explanation, info.class_names, shown))
    return rows


def _face(path: Path, finder: FaceFinder, recipe: Preprocessing) -> tuple[NDArray[np.uint8], bool]:
    try:
        picture = decode_image(path.read_bytes())
    except OSError as error:
        raise ImageError(f"{printable(path)} cannot be read: {error.strerror}") from error
    except ImageError as error:
        raise ImageError(f"{printable(path)}: {error}") from error
    location = finder(picture)
    return recipe.crop(picture, location.box), location.found


def _table(explanation: Explanation, class_names: tuple[str, ...], region: int) -> dict[str, Any]:
    probabilities, weights = explanation.probabilities[0], explanation.weights[0]
    return {
        "label": class_names[int(probabilities.argmax())],
        "probabilities": dict(zip(class_names, _rounded(probabilities), strict=True)),
        "region_weights": _rounded(weights),
        "region": region,
        "affinity_row": _rounded(explanation.affinity[0, region]),
    }


def _rounded(values: NDArray[np.float32]) -> list[float]:
    return [round(value, 6) for value in values.tolist()]
