"""The roofline picture of a record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lnlattennet._atomic import replace_file
from lnlattennet._charts import LogAxis, Tick, report_environment
from lnlattennet.benchmarks.limits._entries import ITEM_BYTES
from lnlattennet.benchmarks.limits._roofline import CACHE, MEMORY, Point, Roofline
from lnlattennet.errors import require


class Line(NamedTuple):
    """A roof, with its label beside it: ``anchor`` is the label's end at ``label_x``."""

    kind: str
    x1: float
    y1: float
    x2: float
    y2: float
    label: str
    label_x: float
    label_y: float
    anchor: str


class Mark(NamedTuple):
    """A layer or an engine, with its name or number."""

    x: float
    y: float
    text: str


class RooflinePlot(NamedTuple):
    """Roofs, layers and engines; positions in percent from the left and the top.

    Attributes:
        title: what is drawn.
        x_ticks: FLOP per byte.
        y_ticks: GFLOP/s.
        roofs: bandwidths and rates.
        layers: of the network.
        points: engines, by number.
        texts: what the numbers stand for.
    """

    title: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    roofs: list[Line]
    layers: list[Mark]
    points: list[Mark]
    texts: list[str]


_NEAR = (2.0, 4.0)
"""Percent of the picture, across and upwards, within which two points have one mark."""

_BANDWIDTHS = {MEMORY: (0.5, "start"), CACHE: (0.7, "end")}
"""Kind of a slope -> how far up its label stands, and which end of the label is at the slope."""


def draw(record: Mapping[str, Any], path: Path) -> None:
    """Draw the roofs of a record, its engines below them and the layers on them, into an SVG file."""
    with replace_file(path) as draft:
        draft.write_text(picture(record), encoding="utf-8")


def picture(record: Mapping[str, Any]) -> str:
    """Return the SVG.

    Raises:
        UnavailableError: jinja2 is not installed.
    """
    require("jinja2", "export")
    template = report_environment(__package__ or "", {}).get_template("roofline.svg")
    return template.render(roofline_plot(record)._asdict())


def roofline_plot(record: Mapping[str, Any]) -> RooflinePlot:
    """Return where everything stands: GFLOP/s against FLOP per byte, both logarithmic.

    A layer stands on the roof of the first engine's plan, at the largest batch size.
    """
    roofline = Roofline(record)
    engine, plan = next(iter(record["engines"].items()))
    batch = max(point.batch for point in roofline.points)
    rates = {kind: rate for kind, rate in roofline.rates.items() if kind in ITEM_BYTES}
    spots = list(_layer_spots(roofline, plan, batch))
    shown = [(point.flops / point.moved, point.flops / point.seconds) for point in roofline.points]
    x = LogAxis.around([at for at, *_ in spots] + [at for at, _ in shown] + _ridges(roofline, rates))
    y = LogAxis.around([rate for _, rate, _ in spots] + [rate for _, rate in shown] + list(rates.values()))
    return RooflinePlot(
        title=f"Roofline: engines against the machine's limits; layers of {engine} at batch {batch}",
        x_ticks=x.labels(lambda value: f"{value:g}"),
        y_ticks=[(tick._replace(at=100 - tick.at)) for tick in y.labels(lambda value: f"{value / 1e9:g}")],
        roofs=list(_roofs(roofline, rates, x, y)),
        layers=[Mark(x.at(at), 100 - y.at(rate), name) for at, rate, name in spots],
        points=_numbered((x.at(at), 100 - y.at(rate)) for at, rate in shown),
        texts=list(map(_text, roofline.points)),
    )


def _numbered(places: Iterable[tuple[float, float]]) -> list[Mark]:
    """Return a mark for each place, with its number; places too near to tell apart share one."""
    marks: list[Mark] = []
    for number, (x, y) in enumerate(places, 1):
        for index, mark in enumerate(marks):
            if abs(mark.x - x) < _NEAR[0] and abs(mark.y - y) < _NEAR[1]:
                marks[index] = mark._replace(text=f"{mark.text}, {number}")
                break
        else:
            marks.append(Mark(x, y, str(number)))
    return marks


def _layer_spots(
    roofline: Roofline, plan: Mapping[str, str], batch: int
) -> Iterator[tuple[float, float, str]]:
    """Yield FLOP per byte, operations a second and name of every layer."""
    for layer in roofline.layers:
        computing, moving = roofline.least_seconds(layer, plan[layer.block], batch)
        flops = batch * layer.flops
        intensity = flops / layer.moved_bytes(plan[layer.block], batch)
        yield intensity, flops / max(computing, moving), layer.name


def _ridges(roofline: Roofline, rates: Mapping[str, float]) -> list[float]:
    return [rate / roofline.rates[CACHE] for rate in rates.values()]


def _roofs(roofline: Roofline, rates: Mapping[str, float], x: LogAxis, y: LogAxis) -> Iterator[Line]:
    top = max(rates.values())
    for kind in (MEMORY, CACHE):
        bandwidth = roofline.rates[kind]
        left = max(x.low, y.low / bandwidth)
        x1, y1, x2, y2 = x.at(left), 100 - y.at(bandwidth * left), x.at(top / bandwidth), 100 - y.at(top)
        share, anchor = _BANDWIDTHS[kind]
        place = (x1 + share * (x2 - x1), y1 + share * (y2 - y1))
        yield Line(kind, x1, y1, x2, y2, f"{kind} {bandwidth / 1e9:.0f} GB/s", *place, anchor)
    for (precision, rate), ridge in zip(rates.items(), _ridges(roofline, rates), strict=True):
        height = 100 - y.at(rate)
        label = f"{precision} {rate / 1e9:.0f} GFLOP/s"
        yield Line("roof", x.at(ridge), height, 100, height, label, 100, height, "end")


def _text(point: Point) -> str:
    return (
        f"{point.engine}, batch {point.batch}: {point.flops / point.seconds / 1e9:.0f} GFLOP/s, "
        f"{point.bound / point.seconds:.0%} of its roofline bound"
    )
