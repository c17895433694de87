"""The report of an export: `report.json` and one self-contained `report.html`."""

from lnlattennet.export.report._document import report_document
from lnlattennet.export.report._html import write_reports

__all__ = ["report_document", "write_reports"]
