"""The page: every record of a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lnlattennet._charts import report_environment
from lnlattennet.benchmarks.limits._picture import roofline_plot
from lnlattennet.benchmarks.report._agreement import agreement
from lnlattennet.benchmarks.report._anatomy import anatomies
from lnlattennet.benchmarks.report._scaling import sweeps
from lnlattennet.benchmarks.report._throughput import throughput
from lnlattennet.benchmarks.report._views import RecordView, record_view
from lnlattennet.errors import DataError


def render(folder: Path, command: str) -> str:
    """Return the page, which loads nothing else.

    Args:
        folder: of records, and of folders of them.
        command: shown, so that the page can be made again.

    Raises:
        DataError: there is no folder, no record in it, or a file that is none.
        UnavailableError: jinja2 is not installed.
    """
    if not folder.is_dir():
        raise DataError(f"a report is made of a folder of records; {folder} is none")
    records = [_view(path.relative_to(folder), record) for path, record in _documents(folder)]
    if not records:
        raise DataError(f"{folder} holds no record, which is a JSON file as `lnlattennet bench` writes it")
    records.sort(key=lambda record: (record.title, record.file))
    environment = report_environment("lnlattennet.benchmarks.report", {})
    environment.globals.update(
        agreement=agreement,
        anatomies=anatomies,
        roofline_plot=roofline_plot,
        sweeps=sweeps,
        throughput=throughput,
    )
    return environment.get_template("bench.html").render(records=records, command=command)


def _view(path: Path, record: Mapping[str, Any]) -> RecordView:
    try:
        return record_view(path, record)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} holds a JSON object that is no record of a benchmark ({error!r}): take it out of the "
            "folder"
        ) from error


def _documents(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield every JSON file that holds an object.

    Raises:
        DataError: a file holds none.
    """
    for path in sorted(folder.rglob("*.json")):
        try:
            document = json.loads(path.read_bytes())
        except ValueError as error:
            raise DataError(
                f"a record is a JSON file that a benchmark wrote; {path} is none: {error}"
            ) from error
        if not isinstance(document, dict):
            raise DataError(f"a record is a JSON object; {path} holds a {type(document).__name__}")
        yield path, document
