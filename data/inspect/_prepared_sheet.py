"""Contact sheet of a folder of prepared faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from lnlattennet.data._records import FaceData
from lnlattennet.data.inspect._contact_sheet import draw_faces
from lnlattennet.data.inspect._inspection import SHOWN_PER_CLASS, THUMBNAIL, Thumbnail, chosen_names
from lnlattennet.images._decode import read_data_set_image
from lnlattennet.model._preprocessing import center_square


def draw_prepared(
    data: FaceData, folder: Path, paths: Sequence[str], without_face: Sequence[str]
) -> Image.Image:
    """Return the sheet of the faces of ``data`` that lie in ``folder`` at ``paths``.

    Args:
        data: the data set that they were made of.
        folder: where they were written.
        paths: one per face, in the order of the data set.
        without_face: names of the images in which no face was found.
    """
    unfound = frozenset(without_face)

    def thumbnail(name: str, path: str) -> Thumbnail:
        image = read_data_set_image(folder / path).pixels
        face = THUMBNAIL.crop(image, center_square(image.shape[1], image.shape[0]))
        return Thumbnail(face, "none" if name in unfound else "found")

    chosen = chosen_names(data)
    shown: list[list[Thumbnail]] = [[] for _ in data.class_names]
    failed: list[Thumbnail] = []
    for face, path in zip(data.faces, paths, strict=True):
        if face.name in chosen:
            shown[face.label].append(thumbnail(face.name, path))
        if face.name in unfound and len(failed) < SHOWN_PER_CLASS:
            failed.append(thumbnail(face.name, path))
    return draw_faces(data, shown, len(without_face), failed)
