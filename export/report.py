"""`report.json` and `report.html`: what was built, how close it is, how fast it is, and what was chosen."""

from __future__ import annotations

import json
import shlex
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from lnlattennet.export.candidates import Candidate
from lnlattennet.export.manifest import Manifest


def report_document(manifest: Manifest, candidates: list[Candidate]) -> dict[str, Any]:
    """Return the report as plain JSON values: the manifest without hashes, plus every timed sample."""
    document = manifest.model_dump(mode="json", exclude={"files"})
    for engine, candidate in zip(document["engines"], candidates, strict=True):
        engine["build_seconds"] = round(candidate.seconds, 3)
        engine["samples_ms"] = {
            str(size): [round(value, 4) for value in values] for size, values in candidate.samples.items()
        }
    return document


def write_reports(folder: Path, document: dict[str, Any]) -> None:
    """Write `report.json` and the self-contained `report.html` into ``folder``."""
    (folder / "report.json").write_text(
        json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    template = (
        resources.files("lnlattennet.export").joinpath("templates/report.html").read_text(encoding="utf-8")
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    html = environment.from_string(template).render(
        report=document, charts=_charts(document), command=shlex.join(document["command"])
    )
    (folder / "report.html").write_text(html, encoding="utf-8")


def _charts(document: dict[str, Any]) -> list[dict[str, Any]]:
    """One latency strip per batch size: for each engine its quartiles in percent of the slowest sample."""
    charts = []
    sizes = sorted({int(size) for engine in document["engines"] for size in engine["samples_ms"]})
    for size in sizes:
        rows = [
            (engine["name"], np.asarray(engine["samples_ms"][str(size)]))
            for engine in document["engines"]
            if str(size) in engine["samples_ms"]
        ]
        top = max(float(np.percentile(samples, 95)) for _, samples in rows)
        charts.append({"batch": size, "rows": [_strip(name, samples, top) for name, samples in rows]})
    return charts


def _strip(name: str, samples: Any, top: float) -> dict[str, Any]:
    low, median, high = np.percentile(samples, [5, 50, 95])
    percent = 100 / top
    return {
        "name": name,
        "median": f"{median:.2f} ms",
        "left": round(low * percent, 2),
        "width": round(max(0.5, (high - low) * percent), 2),
        "mark": round(median * percent, 2),
    }
