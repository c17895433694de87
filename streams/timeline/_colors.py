"""A color for every expression, told apart by color-blind readers as well.

The eight are those of Okabe and Ito (2008, "Color Universal Design"), with gray in place of black for
neutral, which is what the others are seen before.
"""

from __future__ import annotations

from collections.abc import Sequence

_NEUTRAL = "#9aa3ad"
_BY_NAME = {
    "neutral": _NEUTRAL,
    "happiness": "#e69f00",
    "happy": "#e69f00",
    "surprise": "#56b4e9",
    "sadness": "#0072b2",
    "sad": "#0072b2",
    "anger": "#d55e00",
    "angry": "#d55e00",
    "disgust": "#009e73",
    "fear": "#cc79a7",
    "contempt": "#f0e442",
}
_OTHERS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")


def class_colors(names: Sequence[str]) -> list[str]:
    """Return "#rrggbb" for every class; those of an expression with a usual name never change.

    Beyond eight classes colors come again, each time darker.
    """
    colors: list[str] = []
    for name in names:
        known = _BY_NAME.get(name.lower())
        if known and known not in colors:
            colors.append(known)
        else:
            colors.append("")
    usable = (_darker(color, turn) for turn in range(len(names)) for color in _OTHERS)
    for number, color in enumerate(colors):
        if not color:
            colors[number] = next(other for other in usable if other not in colors)
    return colors


def ink_on(color: str) -> str:
    """Return black or white, whichever is read better on a color."""
    red, green, blue = (_linear(int(color[at : at + 2], 16) / 255) for at in (1, 3, 5))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#fff"


def _linear(value: float) -> float:
    return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)


def _darker(color: str, turn: int) -> str:
    parts = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(part * 0.68**turn):02x}" for part in parts)
