"""Report of an export: `report.json` and one self-contained `report.html`."""
