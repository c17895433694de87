r"""Contact sheet: an image with a few faces of every class, to see at a glance that labels fit.

Names are drawn in matplotlib's DejaVu Sans where matplotlib is installed, else in Pillow's own font, which
has little more than ASCII. A character that the font has not got is drawn as its escape, 幸 as `\u5e78`.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from lnlattennet._command import on_one_line
from lnlattennet.data._records import FaceData
from lnlattennet.data.inspect._inspection import SHOWN_PER_CLASS, THUMBNAIL, Inspection, Thumbnail

_SIDE = THUMBNAIL.size
_GAP = 6
_MARGIN = 24
_TITLE_HEIGHT = 56
_MOST_LABEL = 320
_PAPER, _INK, _FAINT, _EMPTY, _MARK = "#ffffff", "#202124", "#6b7076", "#eceef0", "#c5221f"
_DEJAVU = "mpl-data/fonts/ttf/DejaVuSans.ttf"
_NO_CHARACTER = "\uffff"
"""Unicode will never give it a meaning, so that every font draws its box for it."""
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


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
    large, small = _font(20), _font(15)
    names = [_shortened(_drawable(on_one_line(name), large), large) for name, _, _ in rows]
    left = _MARGIN + round(max(large.getlength(name) for name in names)) + 20
    width = left + SHOWN_PER_CLASS * (_SIDE + _GAP) - _GAP + _MARGIN
    height = _TITLE_HEIGHT + len(names) * (_SIDE + _GAP) - _GAP + _MARGIN
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    title = f"{data.format}: {len(data):,} faces of {len(data.class_names)} classes"
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


def _font(size: int) -> _Font:
    # Asking for the location only: importing matplotlib takes longer than reading a small data set.
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        return ImageFont.load_default(size)
    try:
        # Letter by letter, as `_drawable` looks at them: another layout draws marks on a circle of its own.
        return ImageFont.truetype(
            Path(found.origin).parent / _DEJAVU, size, layout_engine=ImageFont.Layout.BASIC
        )
    except OSError:  # a Linux distribution's matplotlib may keep its fonts elsewhere
        return ImageFont.load_default(size)


def _drawable(name: str, font: _Font) -> str:
    box = bytes(font.getmask(_NO_CHARACTER))
    # File systems may store é as two characters.
    composed = unicodedata.normalize("NFC", name)
    return "".join(_escaped(one) if bytes(font.getmask(one)) == box else one for one in composed)


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode()


def _shortened(name: str, font: _Font) -> str:
    if font.getlength(name) <= _MOST_LABEL:
        return name
    while name and font.getlength(name + "...") > _MOST_LABEL:
        name = name[:-1]
    return name + "..."
