"""The page: every record of a folder that has timings."""

from __future__ import annotations

from pathlib import Path

from lnlattennet._charts import report_environment
from lnlattennet.benchmarks.harness._samples import read_record
from lnlattennet.benchmarks.report._throughput import throughput
from lnlattennet.benchmarks.report._views import record_view
from lnlattennet.errors import UsageError


def render(folder: Path, command: str) -> str:
    """Return the page, which loads nothing else.

    Args:
        folder: of records.
        command: shown, so that the page can be made again.

    Raises:
        UsageError: there is no folder, or no record of timings in it.
        UnavailableError: jinja2 is not installed.
    """
    if not folder.is_dir():
        raise UsageError(f"a report is made of a folder of records; {folder} is none")
    records, others = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            record = read_record(path)
        except UsageError:
            others.append(path.name)
            continue
        # Records of other kinds, and those from before 2026-11-28, have no list of cases with candidates.
        if record.get("cases") and all("candidates" in case for case in record["cases"]):
            records.append(record_view(path, record))
        else:
            others.append(path.name)
    if not records:
        raise UsageError(f"{folder} holds no record of timings, as `lnlattennet bench` writes them")
    return (
        report_environment("lnlattennet.benchmarks.report", {})
        .get_template("bench.html")
        .render(records=records, others=others, command=command, throughput=throughput)
    )
