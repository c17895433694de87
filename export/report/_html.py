"""`report.html`: one page that loads nothing else, and `report.json` beside it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from lnlattennet._charts import report_environment
from lnlattennet.export.report import _formatting as numbers
from lnlattennet.export.report._candidates import candidate_rows, headline, plan_rows
from lnlattennet.export.report._checks import check_rows, tolerance_panels
from lnlattennet.export.report._latency import latency_charts
from lnlattennet.export.report._pareto import front_plots, front_rows
from lnlattennet.export.report._verification import accuracy_rows, calibrated_on_rendered, verification_facts

_FILTERS = {
    "milliseconds": numbers.milliseconds,
    "percent": numbers.percent,
    "compact": numbers.compact,
    "size": numbers.size,
    "duration": numbers.duration,
    "sentence": lambda text: text[:1].upper() + text[1:],
}


def write_reports(folder: Path, document: dict[str, Any]) -> list[Path]:
    """Write `report.json` and the self-contained `report.html` into ``folder``; return their paths.

    Args:
        folder: exists; files of these names are replaced.
        document: from ``report_document``.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    contents = {folder / "report.json": text + "\n", folder / "report.html": render_html(document)}
    for path, content in contents.items():
        path.write_text(content, encoding="utf-8")
    return list(contents)


def render_html(document: dict[str, Any]) -> str:
    """Return the page for a document from ``report_document``."""
    environment = report_environment("lnlattennet.export.report", _FILTERS)
    environment.globals["throughput"] = numbers.throughput
    return environment.get_template("report.html").render(
        report=document,
        command=shlex.join(document["command"]),
        headline=headline(document),
        candidates=candidate_rows(document),
        skipped=document["skipped"],
        plans=plan_rows(document),
        latency=latency_charts(document),
        front={"rows": front_rows(document), "plots": front_plots(document)},
        tolerances=tolerance_panels(document),
        checks=check_rows(document),
        facts=verification_facts(document),
        calibrated_on_rendered=calibrated_on_rendered(document),
        accuracy=accuracy_rows(document),
    )
