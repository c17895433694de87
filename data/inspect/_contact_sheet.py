"""Contact sheet: an image with a few faces of every class, to see at a glance that labels fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from PIL import Image, ImageDraw

from lnlattennet._command import on_one_line
from lnlattennet.data._records import FaceData
from lnlattennet.data.inspect._inspection import SHOWN_PER_CLASS, THUMBNAIL, Inspection, Thumbnail
from lnlattennet.images._fonts import Font, drawable, text_font

_SIDE = THUMBNAIL.size
_GAP = 6
_MARGIN = 24
_TITLE_HEIGHT = 56
_MOST_LABEL = 320
_PAPER, _INK, _FAINT, _EMPTY, _MARK = "#ffffff", "#202124", "#6b7076", "#eceef0", "#c5221f"


def draw_sheet(inspection: Inspection) -> Image.Image:
    """Return the sheet of an inspection; see ``draw_faces``."""
    none = inspection.preparation.outcomes["none"]
    return draw_faces(inspection.data, inspection.shown, none, inspection.without_face)


def draw_faces(
    data: FaceData, shown: Sequence[Sequence[Thumbnail]], none: int, without_face: Sequence[Thumbnail]
) -> Image.Image:
    """Return the sheet, RGB: a row per class with its name, its number of faces and some of them.

    Center squares of images without a face are crossed out.

    Args:
        data: the data set.
        shown: faces per class.
        none: number of images without a face; if there are any, a last row shows some.
        without_face: the faces in that row.
    """
    counts = Counter(face.label for face in data.faces)
    rows = [
        (name, counts[label], some)
        for label, (name, some) in enumerate(zip(data.class_names, shown, strict=True))
    ]
    if none:
        rows.append(("no face found", none, without_face))
    title = f"{data.format}: {len(data):,} faces of {len(data.class_names)} classes"
    lines = [on_one_line(name) for name, _, _ in rows]
    # One font for all names; what it lacks is measured on them.
    large, small = text_font("".join(lines) + title, 20), text_font(title, 15)
    names = [_shortened(drawable(line, large), large) for line in lines]
    left = _MARGIN + round(max(large.getlength(name) for name in names)) + 20
    width = left + SHOWN_PER_CLASS * (_SIDE + _GAP) - _GAP + _MARGIN
    height = _TITLE_HEIGHT + len(names) * (_SIDE + _GAP) - _GAP + _MARGIN
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _TITLE_HEIGHT / 2), title, _INK, large, anchor="lm")
    for row, (name, (_, count, some)) in enumerate(zip(names, rows, strict=True)):
        top = _TITLE_HEIGHT + row * (_SIDE + _GAP)
        pen.text((_MARGIN, top + _SIDE / 2 - 2), name, _INK, large, anchor="ls")
        pen.text((_MARGIN, top + _SIDE / 2 + 6), f"{count:,}", _FAINT, small, anchor="lt")
        _draw_row(sheet, pen, some, (left, top))
    return sheet


def _draw_row(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, shown: Sequence[Thumbnail], corner: tuple[int, int]
) -> None:
    x, top = corner
    for column in range(SHOWN_PER_CLASS):
        if column < len(shown):
            sheet.paste(Image.fromarray(shown[column].image), (x, top))
            if shown[column].outcome == "none":
                pen.line((x, top, x + _SIDE - 1, top + _SIDE - 1), _MARK, 3)
                pen.rectangle((x, top, x + _SIDE - 1, top + _SIDE - 1), outline=_MARK, width=3)
        else:
            pen.rectangle((x, top, x + _SIDE - 1, top + _SIDE - 1), _EMPTY)
        x += _SIDE + _GAP


def _shortened(name: str, font: Font) -> str:
    if font.getlength(name) <= _MOST_LABEL:
        return name
    while name and font.getlength(name + "...") > _MOST_LABEL:
        name = name[:-1]
    return name + "..."
