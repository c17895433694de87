"""Report of an inspection, as a JSON document and as human-readable lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lnlattennet._command import on_one_line, printable
from lnlattennet.data._records import Face, ordered_splits
from lnlattennet.data.inspect._inspection import Inspection, shared_subjects

NO_SPLIT = "no split"
"""Name of the faces that no official split holds."""

_FEW = 5


def describe(inspection: Inspection, sheet: Path | None) -> dict[str, Any]:
    """Return plain JSON values: counts, sizes, subjects, copies, equalized images, damage, notes, sheet."""
    data, copies = inspection.data, inspection.copies
    counts = data.counts()
    subjects = Counter(face.subject for face in data.faces if face.subject is not None)
    return {
        "path": printable(data.root),
        "format": data.format,
        "class_names": [printable(name) for name in data.class_names],
        "faces": len(data),
        "splits": {
            split or NO_SPLIT: {printable(name): counts[split][i] for i, name in enumerate(data.class_names)}
            for split in ordered_splits(counts)
        },
        "sizes": {"width": _spread(inspection, 0), "height": _spread(inspection, 1)},
        "subjects": {printable(name): subjects[name] for name in sorted(subjects)} or None,
        "subjects_in_several_splits": [printable(name) for name in shared_subjects(data)],
        "copies": {
            "across_splits": _names(group for group in copies if len({face.split for face in group}) > 1),
            "within_splits": _names(group for group in copies if len({face.split for face in group}) == 1),
            "with_other_labels": _names(group for group in copies if len({face.label for face in group}) > 1),
        },
        "equalized": {
            "images": inspection.preparation.equalized,
            "share": inspection.preparation.equalized / max(1, len(inspection.sizes)),
        },
        "unreadable": {printable(name): problem for name, problem in inspection.unreadable.items()},
        "preparation": inspection.preparation.to_dict(),
        "without_face": list(map(printable, inspection.preparation.without_face)),
        "notes": [*data.notes, *inspection.preparation.notes()],
        "sheet": printable(sheet) if sheet else None,
    }


def facts(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the named lines of a human-readable report on a document of ``describe``, with examples."""
    document = _on_one_line(document)
    width, height = document["sizes"]["width"], document["sizes"]["height"]
    lines = [("images", "none could be read")]
    if width:
        sizes = (f"{kind} {width[kind]:g} x {height[kind]:g}" for kind in ("min", "median", "max"))
        lines = [("width x height", ", ".join(sizes))]
    lines.append(("subjects", _subjects(document["subjects"])))
    if document["subjects_in_several_splits"]:
        shared = document["subjects_in_several_splits"]
        lines.append(("LEAK: subjects in several splits", _counted(shared)))
    copies = document["copies"]
    lines.append(("copies across splits", _groups(copies["across_splits"])))
    lines.append(("copies within a split", _groups(copies["within_splits"])))
    if copies["with_other_labels"]:
        lines.append(("copies with other labels", _groups(copies["with_other_labels"])))
    equalized = document["equalized"]
    lines.append(("equalized histograms", f"{equalized['images']:,} images, {equalized['share']:.1%}"))
    # Every problem names its file.
    lines.append(("unreadable", _counted(list(document["unreadable"].values()))))
    lines += [("note", note) for note in document["notes"]]
    return lines + ([("sheet", document["sheet"])] if document["sheet"] else [])


def _on_one_line(value: Any) -> Any:
    """Return a JSON value with every name in it on one line."""
    if isinstance(value, str):
        return on_one_line(value)
    if isinstance(value, list):
        return [_on_one_line(item) for item in value]
    if isinstance(value, dict):
        return {on_one_line(name): _on_one_line(item) for name, item in value.items()}
    return value


def _subjects(faces: Mapping[str, int] | None) -> str:
    if faces is None:
        return "not named by the data set"
    return _counted([f"{name}: {count:,} faces" for name, count in faces.items()])


def _spread(inspection: Inspection, axis: int) -> dict[str, float] | None:
    values = inspection.sizes[:, axis]
    if not values.size:
        return None
    return {"min": int(values.min()), "median": float(np.median(values)), "max": int(values.max())}


def _names(groups: Iterable[Sequence[Face]]) -> list[list[str]]:
    return [[printable(face.name) for face in group] for group in groups]


def _groups(groups: Sequence[Sequence[str]]) -> str:
    if not groups:
        return "none"
    images = sum(map(len, groups))
    shown = "\n".join("  " + " = ".join(group[:_FEW]) for group in groups[:_FEW])
    more = "\n  ..." if len(groups) > _FEW else ""
    return f"{images:,} images, groups: {len(groups):,}\n{shown}{more}"


def _counted(values: Sequence[str]) -> str:
    """Return the number of values and the first of them, a line each."""
    if not values:
        return "none"
    more = ["..."] if len(values) > _FEW else []
    return "\n".join([f"{len(values):,}", *values[:_FEW], *more])
