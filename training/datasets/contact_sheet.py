"""A picture that shows a few faces of every class, to see at a glance that labels fit."""

from __future__ import annotations

from collections import Counter

from PIL import Image, ImageDraw, ImageFont

from lnlattennet.command import printable
from lnlattennet.training.datasets.inspection import SHOWN_PER_CLASS, THUMBNAIL, Inspection

_SIDE = THUMBNAIL.size
_GAP = 6
_MARGIN = 24
_TITLE_HEIGHT = 56
_MOST_LABEL = 320
_PAPER, _INK, _FAINT, _EMPTY = "#ffffff", "#202124", "#6b7076", "#eceef0"
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def draw_sheet(inspection: Inspection) -> Image.Image:
    """Return the sheet, RGB: a row per class with its name, its number of faces and some of them."""
    data = inspection.data
    counts = Counter(face.label for face in data.faces)
    large, small = ImageFont.load_default(20), ImageFont.load_default(15)
    names = [_shortened(printable(name), large) for name in data.class_names]
    left = _MARGIN + round(max(large.getlength(name) for name in names)) + 20
    width = left + SHOWN_PER_CLASS * (_SIDE + _GAP) - _GAP + _MARGIN
    height = _TITLE_HEIGHT + len(names) * (_SIDE + _GAP) - _GAP + _MARGIN
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    title = f"{data.format}: {len(data):,} faces of {len(names)} classes"
    pen.text((_MARGIN, _TITLE_HEIGHT / 2), title, _INK, large, anchor="lm")
    for label, name in enumerate(names):
        top = _TITLE_HEIGHT + label * (_SIDE + _GAP)
        pen.text((_MARGIN, top + _SIDE / 2 - 2), name, _INK, large, anchor="ls")
        pen.text((_MARGIN, top + _SIDE / 2 + 6), f"{counts[label]:,}", _FAINT, small, anchor="lt")
        _draw_row(sheet, pen, inspection, label, (left, top))
    return sheet


def _draw_row(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, inspection: Inspection, label: int, corner: tuple[int, int]
) -> None:
    x, top = corner
    for column in range(SHOWN_PER_CLASS):
        shown = inspection.shown[label]
        if column < len(shown):
            sheet.paste(Image.fromarray(shown[column]), (x, top))
        else:
            pen.rectangle((x, top, x + _SIDE - 1, top + _SIDE - 1), _EMPTY)
        x += _SIDE + _GAP


def _shortened(name: str, font: _Font) -> str:
    if font.getlength(name) <= _MOST_LABEL:
        return name
    while name and font.getlength(name + "...") > _MOST_LABEL:
        name = name[:-1]
    return name + "..."
