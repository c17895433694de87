"""Rule for class names: what people tell apart on every screen, and what every file format takes."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_JOINERS = "\u200c\u200d"
"""Zero width non-joiner and joiner: Persian and Indic words need them, and so do emoji of several parts."""

_MEANING = {
    "Cc": "a control character",
    "Cf": "an invisible character",
    "Cn": "no character of Unicode",
    "Co": "a private character, which other machines show otherwise",
    "Cs": "half a character",
    "Zl": "a line break",
    "Zp": "a line break",
    "Zs": "a space that is not the usual one",
}
"""Category of a character that a name must not hold -> what to call it."""


def class_names_problem(names: Sequence[str]) -> str | None:
    """Return which name breaks the rule for class names, and why; None if all are good.

    A name is printable and not empty, spaces and joiners inside it included, and no two of them look alike.
    """
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        problem = _problem(name)
        if problem:
            return f"class name {index} {name!a} {problem}"
        other = seen.setdefault(_shape(name), index)
        if other != index:
            same = "is" if names[other] == name else "looks like"
            return f"class name {index} {name!a} {same} class name {other} {names[other]!a}"
    return None


def composed(names: Sequence[str]) -> tuple[str, ...]:
    """Return names in the one form in which they are matched, with every accent part of its letter.

    A file system may decompose "joie fière" that a checkpoint holds composed: both look alike.
    """
    return tuple(unicodedata.normalize("NFC", name) for name in names)


def _problem(name: str) -> str | None:
    if not name:
        return "is empty"
    for edge, place in ((name[0], "begins"), (name[-1], "ends")):
        if edge in _JOINERS:
            return f"{place} with {_named(edge)}, which joins nothing there"
    for character in name:
        if not character.isprintable() and character not in _JOINERS:
            return f"holds {_named(character)}, {_MEANING[unicodedata.category(character)]}"
    return None


def _named(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def _shape(name: str) -> str:
    """Return what is seen of a name: accents in one form, without joiners."""
    return unicodedata.normalize("NFC", name).translate(dict.fromkeys(map(ord, _JOINERS)))
