r"""Fonts for names in any script: one that has all characters of a text, as far as this machine has one.

Names of classes and files are in people's own languages. Pillow's own font, which has little more than ASCII,
is taken where it suffices; then matplotlib's DejaVu Sans (Latin, Greek, Cyrillic, Arabic), where that one
is installed; then the system's fonts. A character that the font lacks is drawn as its escape, 幸 as `\u5e78`.
"""

from __future__ import annotations

import logging
import os
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

DEJAVU = "mpl-data/fonts/ttf/DejaVuSans.ttf"
_NO_CHARACTER = "\uffff"
"""Unicode will never give it a meaning, so that every font draws its box for it."""
_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
_WIDE = ("noto", "cjk", "unifont", "droid", "gothic", "wqy", "ipa", "arial")
"""Parts of the names of fonts that have many scripts; they are looked at first."""
_MOST_FONTS = 500

_log = logging.getLogger(__name__)


def text_font(text: str, size: float) -> Font:
    """Return a font with all characters of ``text``, or else with most of them."""
    path = font_file(text)
    if path is None:
        return ImageFont.load_default(size)
    # Letter by letter, as `drawable` looks at them: another layout draws marks on a circle of its own.
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def font_file(text: str) -> Path | None:
    """Return the file of the first font that has all characters of ``text``; None for Pillow's own.

    Where no font has them all, it is the one that lacks the fewest, and a warning says so.
    """
    return _file_with(frozenset(unicodedata.normalize("NFC", text)))


def drawable(text: str, font: Font) -> str:
    """Return ``text`` with accents composed, and characters that ``font`` has not got as their escapes."""
    # File systems may store é as two characters.
    composed = unicodedata.normalize("NFC", text)
    lacking = _lacking(font, frozenset(composed))
    return "".join(_escaped(one) if one in lacking else one for one in composed)


@cache
def _file_with(characters: frozenset[str]) -> Path | None:
    best, fewest = None, characters
    for path in _candidates():
        lacking = _lacking(_opened(path), characters)
        if len(lacking) < len(fewest):
            best, fewest = path, lacking
        if not fewest:
            return best
    _log.warning(
        "no font of this machine has %s: such characters are drawn as numbers; install one with their "
        "script, such as Noto (Debian and Ubuntu: fonts-noto-core, fonts-noto-cjk)",
        " ".join(sorted(fewest)),
    )
    return best


def _candidates() -> Iterator[Path | None]:
    yield None
    # Asking for the location only: importing matplotlib takes longer than reading a small data set.
    found = find_spec("matplotlib")
    if found and found.origin:
        yield Path(found.origin).parent / DEJAVU
    yield from _system_fonts()


def font_folders() -> list[Path]:
    """Return where systems and users keep fonts."""
    home = os.path.expanduser("~")  # noqa: PTH111  # Path's raises for a user without a home
    if sys.platform == "darwin":
        return [Path(home, "Library/Fonts"), Path("/Library/Fonts"), Path("/System/Library/Fonts")]
    own = os.environ.get("XDG_DATA_HOME") or Path(home, ".local/share")
    return [
        Path(own, "fonts"),
        Path(home, ".fonts"),
        Path("/usr/local/share/fonts"),
        Path("/usr/share/fonts"),
    ]


@cache
def _system_fonts() -> tuple[Path, ...]:
    """Return the system's fonts, those of many scripts first."""
    found = [path for folder in font_folders() for path in _fonts_below(folder)]

    def order(path: Path) -> tuple[bool, bool, str]:
        name = path.name.casefold()
        return not any(part in name for part in _WIDE), "regular" not in name, name

    return tuple(sorted(found, key=order)[:_MOST_FONTS])


def _fonts_below(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent) / name for name in names if name.lower().endswith(_SUFFIXES))


@cache
def _opened(path: Path | None) -> Font | None:
    if path is None:
        return ImageFont.load_default(16)
    try:
        return ImageFont.truetype(path, 16, layout_engine=ImageFont.Layout.BASIC)
    except OSError:  # missing, damaged, or of a kind that FreeType does not read
        return None


def _lacking(font: Font | None, characters: frozenset[str]) -> frozenset[str]:
    """Return those of ``characters`` for which the font draws the box of an unknown one."""
    if font is None:
        return characters
    box = bytes(font.getmask(_NO_CHARACTER))
    return frozenset(one for one in characters if bytes(font.getmask(one)) == box)


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode()
