"""The page: one HTML file that loads nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePath

from lnlattennet._charts import report_environment
from lnlattennet._version import __version__
from lnlattennet.streams.timeline._colors import class_colors, ink_on
from lnlattennet.streams.timeline._faces import FaceImage
from lnlattennet.streams.timeline._lanes import HEIGHT
from lnlattennet.streams.timeline._person import Person, PersonFigures
from lnlattennet.streams.timeline._study import SourceFigures, Study
from lnlattennet.streams.timeline._texts import clock, duration, percent, short_duration
from lnlattennet.streams.timeline._view import (
    Dwells,
    Lanes,
    dwells,
    lanes,
    overview_runs,
    transition_rows,
)

_COLUMNS_BY_RANK = ((4, 1200), (20, 300), (100, 150))
"""Persons up to this rank have so many columns; the others are in the overview and in the CSV file."""

_LISTED = 1000
_OPEN = 2


@dataclass(frozen=True)
class PersonView:
    """A person on the page; ``lanes`` is None for one who is in the overview only."""

    anchor: str
    figures: PersonFigures
    strip: list[tuple[int, str]]
    lanes: Lanes | None
    dwells: Dwells | None
    open: bool

    @property
    def shares(self) -> list[tuple[int, float]]:
        """Classes with their share of the seen time, the largest first."""
        seconds = self.figures.labels.seconds
        total = seconds.sum() or 1.0
        known = [(label, float(value / total)) for label, value in enumerate(seconds) if value > 0]
        return sorted(known, key=lambda entry: -entry[1])


@dataclass(frozen=True)
class Group:
    """A source with its persons; ``source`` is None for folders of images."""

    title: str
    source: SourceFigures | None
    persons: list[PersonView]
    unlisted: int


def render(
    study: Study, name: str, command: str, faces: Mapping[Person, list[FaceImage]] | None = None
) -> str:
    """Return the page of a study.

    Args:
        study: what it shows.
        name: of the table, its title.
        command: that made it.
        faces: crops to show; None shows none.
    """
    names = study.columns.class_names
    filters: dict[str, Callable[..., str]] = {
        "percent": percent,
        "duration": duration,
        "short_duration": short_duration,
        "clock": clock,
        "base": _base_name,
    }
    environment = report_environment("lnlattennet.streams.timeline", filters)
    environment.globals["transitions"] = transition_rows
    script = (resources.files(__package__ or "") / "templates" / "timeline.js").read_text("utf-8")
    colors = class_colors(names)
    return environment.get_template("timeline.html").render(
        study=study,
        groups=_groups(study),
        name=name,
        command=command,
        classes=list(zip(names, colors, map(ink_on, colors), strict=True)),
        names=names,
        names_json=json.dumps(names, ensure_ascii=True),
        height=HEIGHT,
        faces=faces or {},
        with_faces=faces is not None,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        version=__version__,
    )


def _groups(study: Study) -> list[Group]:
    ranks = {figures.person: rank for rank, figures in enumerate(study.persons)}
    groups = []
    for source in study.sources:
        persons = study.persons_in(source.source)
        views = [_view(figures, ranks[figures.person], study, source) for figures in persons[:_LISTED]]
        groups.append(Group(source.source, source, views, len(persons) - len(views)))
    images = [figures for figures in study.persons if figures.person.images]
    if images:
        views = [_view(figures, ranks[figures.person], study, None) for figures in images[:_LISTED]]
        groups.append(Group("Images without a time", None, views, len(images) - len(views)))
    return groups


def _view(figures: PersonFigures, rank: int, study: Study, source: SourceFigures | None) -> PersonView:
    start, end = (source.start, source.end) if source else (0.0, max(figures.last, 1.0))
    classes = len(study.columns.class_names)
    most = next((columns for last, columns in _COLUMNS_BY_RANK if rank < last), 0)
    seen = figures.seen > 0
    return PersonView(
        anchor=f"person-{rank + 1}",
        figures=figures,
        strip=overview_runs(figures, start, end) if seen else [],
        lanes=lanes(figures, classes, most) if seen and most else None,
        dwells=None if figures.person.images else dwells(figures.labels),
        open=rank < _OPEN,
    )


def _base_name(path: str) -> str:
    return PurePath(path).name or path
