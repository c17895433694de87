"""The command `lnlattennet info`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from lnlattennet.command import print_json, stdout
from lnlattennet.errors import require


def info(
    checkpoint: Annotated[
        Path | None, typer.Argument(help="A checkpoint file; without one, the default network is described.")
    ] = None,
    allow_pickle: Annotated[bool, typer.Option(help="Accept a pickled training checkpoint.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Describe a network: its configuration, parameters and FLOPs per part, classes and provenance."""
    require("torch", "export")
    from lnlattennet.model.summary import describe

    document = describe(checkpoint, allow_pickle=allow_pickle)
    if json_output:
        print_json(document)
    else:
        _print_tables(document)


def _print_tables(document: dict[str, Any]) -> None:
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
            facts.add_row(name.replace("_", " "), _readable(document[name]))
    console.print(facts)


def _readable(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{name}: {_readable(item)}" for name, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
