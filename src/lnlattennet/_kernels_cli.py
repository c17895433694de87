"""The commands `lnlattennet kernels build` and `lnlattennet kernels info`.

They are outside the package `kernels`, whose import registers the operators and so imports torch: a command
must start without it.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Annotated, Any

import typer

from lnlattennet._command import print_json
from lnlattennet._console import Table, stdout
from lnlattennet.errors import UsageError, require

app = typer.Typer(help="Build the compiled attention kernels, or show which run.", no_args_is_help=True)


class Device(enum.StrEnum):
    """Device types that have compiled kernels."""

    cpu = "cpu"
    cuda = "cuda"


_JSON = typer.Option("--json", help="Print one JSON document.")


@app.command()
def build(
    device: Annotated[
        Device | None, typer.Option(help="Device type; without it, every one that this machine has.")
    ] = None,
    arch: Annotated[
        list[str] | None,
        typer.Option(
            help="With --device cuda: capability such as 90, or all; repeatable (default: the GPUs here)."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build again even if the library is there.")] = False,
    json_output: Annotated[bool, _JSON] = False,
) -> None:
    """Build the kernels ahead of time; otherwise their first use builds them."""
    if arch and device is not Device.cuda:
        raise UsageError("--arch is for GPUs: it needs --device cuda")
    torch = require("torch", "export")
    from lnlattennet.kernels._build import build_library
    from lnlattennet.kernels._cache import architectures_of
    from lnlattennet.kernels._loader import architectures

    here = [Device.cpu, *([Device.cuda] if torch.cuda.is_available() else [])]
    document: dict[str, Any] = {}
    for name in [device] if device else here:
        targets = _architectures(arch) if arch else architectures(name)
        library = build_library(name, targets, force=force)
        document[name] = {"library": str(library), "architectures": list(architectures_of(library))}
    if json_output:
        print_json(document)
    else:
        for title, built in document.items():
            stdout().print(f"{title}: {built['library']}", soft_wrap=True)


@app.command()
def info(json_output: Annotated[bool, _JSON] = False) -> None:
    """Show which implementation of the attention runs on each device, and why; build nothing."""
    require("torch", "export")
    from lnlattennet.kernels._loader import implementation

    per_device = {device: implementation(device) for device in Device}
    if json_output:
        print_json(
            {
                device: dataclasses.asdict(running) | {"library": running.library and str(running.library)}
                for device, running in per_device.items()
            }
        )
        return
    table = Table("device", "runs", "for", "why")
    for device, running in per_device.items():
        reason = f"{running.reason}: {running.library}" if running.library else running.reason
        table.add_row(device, running.kind, running.target or "", reason)
    stdout().print(table)


def _architectures(names: list[str]) -> tuple[str, ...]:
    from lnlattennet.kernels._toolchain import ARCHITECTURES

    if names == ["all"]:
        return ARCHITECTURES
    for name in names:
        if not name.isdecimal() or int(name) < int(ARCHITECTURES[0]):
            raise UsageError(
                f"--arch must be all, or compute capabilities from {ARCHITECTURES[0]} without their dot "
                f"({', '.join(ARCHITECTURES)}), got {name!r}"
            )
    return tuple(sorted(set(names), key=int))
