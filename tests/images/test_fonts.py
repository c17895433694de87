"""Names in any script: a font of this machine that has them, or escapes and a word on what to install."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.text import Text

from lnlattennet.data._records import Face, FaceData
from lnlattennet.data.inspect._contact_sheet import draw_faces
from lnlattennet.evaluation.explain._drawing import image_of, new_figure
from lnlattennet.images import _fonts
from lnlattennet.images._fonts import drawable, font_file, text_font
from lnlattennet.images._overlay import DrawnFace, draw_overlay
from tests.fonts import forget_fonts, only_fonts_in

NAMES = ["怒り", "悲しみ"]
ASCII = "".join(map(chr, range(0x20, 0x7F)))


def build_font(path: Path, characters: str) -> None:
    """Write a font whose characters are squares of different sizes."""
    names = {ord(one): f"c{ord(one)}" for one in characters}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    glyphs = {}
    for index, name in enumerate([".notdef", *names.values()]):
        pen, side = TTGlyphPen(None), 300 + 400 * index // (len(names) + 1)
        if name != "c32":
            pen.moveTo((50, 0))
            for corner in ((50, side), (side, side), (side, 0)):
                pen.lineTo(corner)
            pen.closePath()
        glyphs[name] = pen.glyph()
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (800, 50)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=900, usWinAscent=900, usWinDescent=100)
    builder.setupPost()
    builder.save(path)


@pytest.fixture
def fonts(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, the only one that is searched for fonts."""
    with only_fonts_in(tmp_path / "nowhere", tmp_path):
        yield tmp_path


def test_ascii_needs_no_font_of_the_machine(fonts: Path) -> None:
    build_font(fonts / "noto.ttf", ASCII)
    assert font_file("happiness 98.5%") is None
    assert drawable("happiness", text_font("happiness", 20)) == "happiness"


def test_the_font_that_has_a_name_is_found(fonts: Path) -> None:
    build_font(fonts / "a.ttf", ASCII)
    (fonts / "deeper").mkdir()
    build_font(fonts / "deeper" / "Japanese.otf", ASCII + "".join(NAMES))
    (fonts / "broken.ttf").write_bytes(b"no font")
    for name in NAMES:
        assert font_file(name) == fonts / "deeper" / "Japanese.otf"
        assert drawable(name, text_font(name, 20)) == name


def test_without_such_a_font_escapes_are_drawn_and_one_is_named(
    fonts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build_font(fonts / "some.ttf", ASCII + "怒")
    with caplog.at_level(logging.WARNING, "lnlattennet"):
        shown = drawable("怒り", text_font("怒り", 20))
        assert shown == "怒\\u308a"
        font_file("怒り")
    [record] = caplog.records
    assert (
        "no font of this machine has り: such characters are drawn as numbers; install" in record.getMessage()
    )
    assert "fonts-noto-cjk" in record.getMessage()


def test_all_pictures_draw_the_same_names(fonts: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Contact sheet, overlay and panels of explain."""

    def draw() -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
        forget_fonts()
        data = FaceData("folder", Path("x"), tuple(NAMES), (Face("a", 0), Face("b", 1)))
        sheet = draw_faces(data, [(), ()], 0, ())
        gray = np.full((480, 480, 3), 128, np.uint8)
        face = DrawnFace([[0.5, 0.5], [0.0, 0.0]], (100, 100, 300, 300), label=NAMES[0])
        overlay = draw_overlay(gray, [face], NAMES[1], "")
        figure = new_figure(3, 1)
        figure.suptitle(NAMES[0])
        return [np.asarray(sheet), overlay, np.asarray(image_of(figure))]

    with caplog.at_level(logging.WARNING, "lnlattennet"):
        escaped = draw()
    assert "no font of this machine has" in caplog.text
    caplog.clear()
    build_font(fonts / "Japanese.ttf", "".join({*ASCII, *NAMES[0], *NAMES[1]}))
    with caplog.at_level(logging.WARNING, "lnlattennet"):
        named = draw()
    assert not caplog.records
    for one, other in zip(escaped, named, strict=True):
        assert one.shape != other.shape or (one != other).any()


def test_a_panel_takes_the_font_for_the_text_that_needs_it(fonts: Path) -> None:
    build_font(fonts / "Japanese.ttf", ASCII + "".join(NAMES))
    figure = new_figure(3, 1)
    figure.suptitle(NAMES[0], fontsize=12)
    figure.text(0.5, 0.5, "plain")
    image_of(figure)
    files = {text.get_text(): text.get_fontproperties().get_file() for text in figure.findobj(Text)}
    assert files == {NAMES[0]: str(fonts / "Japanese.ttf"), "plain": None}
    assert {text.get_fontsize() for text in figure.findobj(Text) if text.get_text() == NAMES[0]} == {12}


def test_folders_of_fonts_need_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/own")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: (_ for _ in ()).throw(KeyError(uid)))
    assert Path("/own/fonts") in _fonts.font_folders()
