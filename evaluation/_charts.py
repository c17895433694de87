"""Where the parts of the report's drawings lie; the template turns them into SVG."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_CELL = 46
_LONGEST_NAME = 14
_THUMBNAIL = 160
_PLOT = 260


def confusion_chart(names: list[str], confusion: list[list[int]]) -> dict[str, Any]:
    """Return the cells of a confusion matrix: one row per true class, shaded by the share of that class."""
    margin = 14 + 8 * max(min(len(name), _LONGEST_NAME) for name in names)
    cells = [
        _cell(names, confusion, row, column, margin)
        for row in range(len(names))
        for column in range(len(names))
    ]
    labels = [
        {"text": _short(name), "at": margin + index * _CELL + _CELL / 2} for index, name in enumerate(names)
    ]
    side = margin + len(names) * _CELL
    return {"margin": margin, "cell": _CELL, "cells": cells, "labels": labels, "side": side}


def reliability_chart(calibration: dict[str, Any]) -> dict[str, Any]:
    """Return the bars of a reliability diagram, with a histogram of the faces below it."""
    most = max(entry["faces"] for entry in calibration["bins"])
    bars = []
    for entry in calibration["bins"]:
        if not entry["faces"]:
            continue
        height, expected = entry["accuracy"] * _PLOT, entry["confidence"] * _PLOT
        bars.append(
            {
                "x": round(entry["low"] * _PLOT, 2),
                "width": round((entry["high"] - entry["low"]) * _PLOT, 2),
                "y": round(_PLOT - height, 2),
                "height": round(height, 2),
                "gap_y": round(_PLOT - max(height, expected), 2),
                "gap_height": round(abs(height - expected), 2),
                "count_height": round(40 * entry["faces"] / most, 2),
                "title": f"confidence {entry['low']:.2f} to {entry['high']:.2f}: {entry['faces']} faces, "
                f"mean confidence {entry['confidence']:.3f}, {entry['accuracy']:.1%} right",
            }
        )
    return {"bars": bars, "plot": _PLOT, **calibration}


def thumbnail(face: NDArray[np.uint8]) -> str:
    """Return a face uint8 [S, S, 3] as a PNG data URI, at most 160 pixels a side."""
    picture = Image.fromarray(face)
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _cell(names: list[str], confusion: list[list[int]], row: int, column: int, margin: int) -> dict[str, Any]:
    count, faces = confusion[row][column], sum(confusion[row])
    share = count / faces if faces else 0.0
    return {
        "x": margin + column * _CELL,
        "y": margin + row * _CELL,
        "count": count,
        # Even one face in a hundred must be seen.
        "opacity": round(0.1 + 0.65 * share, 3) if count else 0,
        "right": row == column,
        "title": f"{names[row]} read as {names[column]}: {count} of {faces} ({share:.1%})",
    }


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
