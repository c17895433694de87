"""Tables of a network for `lnlattennet info`."""

from __future__ import annotations

from typing import Any

from lnlattennet._console import Table, readable, stdout


def print_network(document: dict[str, Any]) -> None:
    """Print the document of ``_summary.describe`` as tables."""
    console = stdout()
    parts = Table("part", "parameters", "MFLOP per image", title=document["name"])
    for part in document["parts"]:
        parts.add_row(part["name"], f"{part['parameters']:,}", f"{part['flops'] / 1e6:,.1f}")
    parts.add_section()
    parts.add_row("all", f"{document['parameters']:,}", f"{document['flops'] / 1e6:,.1f}")
    console.print(parts)
    facts = Table(show_header=False)
    for name in ("class_names", "config", "preprocessing", "provenance", "licence"):
        if name in document:
            facts.add_row(name.replace("_", " "), readable(document[name]))
    console.print(facts)


def print_presets(document: dict[str, Any]) -> None:
    """Print the document of ``_summary.describe_presets`` as a table."""
    table = Table("preset", "pixels", "U-Net widths", "channels", "parameters", "MFLOP per image")
    for preset in document["presets"]:
        config = preset["config"]
        table.add_row(
            preset["name"],
            str(config["image_size"]),
            readable(config["widths"]),
            str(config["channels"]),
            f"{preset['parameters']:,}",
            f"{preset['flops'] / 1e6:,.1f}",
        )
    stdout().print(table)
