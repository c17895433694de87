"""Scenes with known faces, made from portraits whose landmarks are known.

Portraits are JPEG files with a template of 189 landmarks beside them (NAME.jpg, NAME.tem), as in the sets of
https://github.com/debruine/webmorphR.stim.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import DataError
from lnlattennet.images._decode import read_data_set_image
from lnlattennet.images.finders._base import Point
from lnlattennet.model._preprocessing import Box

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]

SIDE = 512
"""Longer side of a scene with one face, in pixels."""

_LANDMARKS = 189
_OUTLINE = [*range(109, 115), *range(125, 145)]
"""Jaw, temples and hairline: their bounding box is the face's."""
_EYES_AND_MOUTH = [0, 1, 87, 93]
_COVER = 128


@dataclass(frozen=True)
class KnownFace:
    """True box of a face, and its eyes and corners of the mouth, the left one (of the image) first."""

    box: Box
    landmarks: tuple[Point, ...]

    @property
    def size(self) -> float:
        """Longer side of the box in pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])


@dataclass(frozen=True)
class Scene:
    """An image and the faces in it."""

    image: Pixels
    faces: tuple[KnownFace, ...]


@dataclass(frozen=True)
class Portrait:
    """Photograph of one upright face, uint8 [H, W, 3], with its landmarks [189, 2]."""

    image: Pixels
    points: Points

    def scaled(self, scale: float) -> Portrait:
        """Return it smaller, antialiased."""
        height, width = self.image.shape[:2]
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(self.image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        return Portrait(image, self.points * [size[0] / width, size[1] / height])

    def moved(self, matrix: NDArray[np.float64], size: tuple[int, int]) -> Portrait:
        """Return it under an affine map [2, 3], edge repeated, on a canvas of ``size`` (width, height)."""
        image = cv2.warpAffine(
            self.image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return Portrait(image.astype(np.uint8, copy=False), self.points @ matrix[:, :2].T + matrix[:, 2])

    def face(self) -> KnownFace:
        """Return the true box and landmarks."""
        outline = self.points[_OUTLINE]
        (left, top), (right, bottom) = outline.min(axis=0).tolist(), outline.max(axis=0).tolist()
        points = tuple((x, y) for x, y in self.points[_EYES_AND_MOUTH].tolist())
        return KnownFace((left, top, right, bottom), points)

    def scene(self) -> Scene:
        """Return it as a scene with one face."""
        return Scene(self.image, (self.face(),))


def read_portraits(folders: Sequence[Path]) -> list[Portrait]:
    """Read every NAME.jpg that has a NAME.tem, scaled to a longer side of ``SIDE``.

    Raises:
        DataError: a folder has none, or a template is of another kind.
    """
    portraits = []
    for folder in folders:
        templates = sorted(folder.glob("[!.]*.tem"))
        if not templates:
            raise DataError(
                f"{folder} has no landmarks (NAME.tem beside NAME.jpg): name a folder of portraits"
            )
        for template in templates:
            image = read_data_set_image(template.with_suffix(".jpg")).pixels
            portrait = Portrait(image, _read_template(template))
            portraits.append(portrait.scaled(SIDE / max(image.shape)))
    return portraits


def _read_template(path: Path) -> Points:
    count, *lines = path.read_text(errors="replace").split("\n")
    rows = [line.split() for line in lines[:_LANDMARKS]]
    if count.strip() != str(_LANDMARKS) or {len(row) for row in rows} != {2} or len(rows) != _LANDMARKS:
        raise DataError(
            f"{path} must say {_LANDMARKS} and then have as many landmarks, x and y on a line, got "
            f"{count[:20]!r} and {len(rows)} lines: leave its folder out"
        )
    return np.array(rows, np.float64)


def read_faceless(folders: Sequence[Path]) -> list[Pixels]:
    """Read every image of the folders, and each again as four quarters: all of ``SIDE`` pixels.

    Raises:
        DataError: there is none.
    """
    files = [path for folder in folders for path in sorted(folder.iterdir())]
    views: list[Pixels] = []
    for path in files:
        if path.name.startswith(".") or path.suffix.lower() not in (".jpg", ".png"):
            continue
        image = read_data_set_image(path).pixels
        half = [side // 2 for side in image.shape[:2]]
        quarters = [part for rows in np.split(image, [half[0]]) for part in np.split(rows, [half[1]], axis=1)]
        for view in (image, *quarters):
            size = [max(16, round(side * SIDE / max(view.shape))) for side in view.shape[1::-1]]
            views.append(cv2.resize(view, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False))
    if not views:
        raise DataError(f"no image in {', '.join(map(str, folders))}: name a folder of images without faces")
    return views


@dataclass(frozen=True)
class Studio:
    """Maker of scenes from portraits and backgrounds; a seed makes them the same in every run."""

    portraits: Sequence[Portrait]
    backgrounds: Sequence[Pixels]

    def scenes(self) -> dict[str, list[Scene]]:
        """Return every condition's scenes: one per portrait, or one per group if they suffice."""
        rng = np.random.default_rng(0)
        single: dict[str, Callable[[Portrait], Scene]] = {
            "upright": Portrait.scene,
            "turned 20 degrees": lambda portrait: _turned(portrait, rng.choice((-20, 20))),
            "turned 35 degrees": lambda portrait: _turned(portrait, rng.choice((-35, 35))),
            "upside down": lambda portrait: _turned(portrait, 180),
            "20 pixels wide": lambda portrait: self._small(portrait, 20, rng),
            "8 pixels wide": lambda portrait: self._small(portrait, 8, rng),
            "a quarter of the light": _dark,
            "lower half covered": _covered,
            "a quarter outside the image": _at_the_edge,
        }
        scenes = {name: [make(portrait) for portrait in self.portraits] for name, make in single.items()}
        scenes["five faces"] = self._groups([120, 100, 80, 60, 45], columns=5)
        scenes["forty faces"] = self._groups([54] * 40, columns=8)
        return {name: made for name, made in scenes.items() if made}

    def _small(self, portrait: Portrait, width: int, rng: np.random.Generator) -> Scene:
        """Put a face ``width`` pixels wide anywhere into a background."""
        left, _, right, _ = portrait.face().box
        small = portrait.scaled(width / (right - left))
        height, columns = small.image.shape[:2]
        x, y = (int(rng.integers(SIDE - side)) for side in (columns, height))
        background = cv2.resize(self.backgrounds[rng.integers(len(self.backgrounds))], (SIDE, SIDE))
        return _paste([(small, x, y)], background.astype(np.uint8, copy=False))

    def _groups(self, widths: Sequence[int], columns: int) -> list[Scene]:
        """Put as many portraits as there are face widths into one image, in rows of ``columns``."""
        groups = [
            self.portraits[start : start + len(widths)]
            for start in range(0, len(self.portraits) - len(widths) + 1, len(widths))
        ]
        return [_group(group, widths, columns) for group in groups]


def _turned(portrait: Portrait, degrees: float) -> Scene:
    """Turn the image around the middle of the face."""
    left, top, right, bottom = portrait.face().box
    center = ((left + right) / 2, (top + bottom) / 2)
    matrix = cv2.getRotationMatrix2D(center, degrees, 1.0).astype(np.float64)
    height, width = portrait.image.shape[:2]
    return portrait.moved(matrix, (width, height)).scene()


def _dark(portrait: Portrait) -> Scene:
    return Scene((portrait.image // 4).astype(np.uint8), (portrait.face(),))


def _covered(portrait: Portrait) -> Scene:
    """Paint the lower half of the face's box gray."""
    image = portrait.image.copy()
    left, top, right, bottom = (round(value) for value in portrait.face().box)
    image[(top + bottom) // 2 : bottom, left:right] = _COVER
    return Scene(image, (portrait.face(),))


def _at_the_edge(portrait: Portrait) -> Scene:
    """Cut the image so that a quarter of the face's width is missing on the left."""
    left, _, right, _ = portrait.face().box
    cut = round(left + (right - left) / 4)
    return Portrait(portrait.image[:, cut:].copy(), portrait.points - np.array([cut, 0])).scene()


def _group(portraits: Sequence[Portrait], widths: Sequence[int], columns: int) -> Scene:
    tiles: list[tuple[Portrait, int, int]] = []
    y = right = 0
    for start in range(0, len(portraits), columns):
        x = row_height = 0
        for portrait, width in zip(portraits[start : start + columns], widths[start:], strict=False):
            left, _, face_right, _ = portrait.face().box
            tile = portrait.scaled(width / (face_right - left))
            tiles.append((tile, x, y))
            x, row_height = x + tile.image.shape[1], max(row_height, tile.image.shape[0])
        y, right = y + row_height, max(right, x)
    return _paste(tiles, np.full((y, right, 3), _COVER, np.uint8))


def _paste(tiles: Sequence[tuple[Portrait, int, int]], canvas: Pixels) -> Scene:
    canvas = canvas.copy()
    for tile, x, y in tiles:
        canvas[y : y + tile.image.shape[0], x : x + tile.image.shape[1]] = tile.image
    moved = [Portrait(tile.image, tile.points + np.array([x, y])) for tile, x, y in tiles]
    return Scene(canvas, tuple(portrait.face() for portrait in moved))
