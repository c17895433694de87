"""Command `lnlattennet versions`, and what commands print of a version that they activate."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlattennet._cli_options import Quiet, Verbose
from lnlattennet._command import configure_logging, print_json

if TYPE_CHECKING:
    from lnlattennet.serving.triton._deployment import Deployment, Version

_POLL_SECONDS = 0.1


def versions(
    deployment: Annotated[Path, typer.Argument(help="Deployment written by deploy.")],
    activate: Annotated[
        int | None,
        typer.Option(min=1, help="Serve the version of this number.", show_default="none"),
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Serve the version that was active before.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """List a deployment's versions, or serve another one."""
    configure_logging(verbose, quiet)
    from lnlattennet.errors import ServingError, UsageError
    from lnlattennet.serving.triton._deployment import Deployment, is_deployment
    from lnlattennet.serving.triton._deployment_check import check_deployment

    if not is_deployment(deployment):
        raise ServingError(f"{deployment} is no deployment; write one: `lnlattennet deploy BUNDLE -o DIR`")
    if activate is not None and rollback:
        raise UsageError("--activate and --rollback both choose a version: leave one out")
    found = Deployment(deployment.resolve())
    if activate is not None or rollback:
        chosen = found.previous() if activate is None else found.version(activate)
        check_deployment(chosen)
        activate_version(found, chosen)
    active, served = found.active, found.served()
    described = [
        {**version.describe(), "active": version == active, "served": version.number == served}
        for version in found.versions()
    ]
    if json:
        print_json({"deployment": str(found.path), "versions": described})
    else:
        _print_table(described)


def activate_version(deployment: Deployment, version: Version) -> None:
    """Activate a version, and wait until a server that runs serves it.

    Raises:
        ServingError: the server refused it, or ended meanwhile.
    """
    from lnlattennet._console import status
    from lnlattennet.errors import ServingError

    deployment.activate(version)
    if deployment.served() is None:
        return
    with status(f"waiting until version {version.number} is served"):
        while (served := deployment.served()) != version.number:
            if served is None:
                raise ServingError(
                    f"the server of {deployment.path} ended; its next start serves version {version.number}"
                )
            if version.refused:
                raise ServingError(
                    f"the server refused version {version.number}, and version {served} goes on: "
                    f"{version.refused}"
                )
            if deployment.active != version:
                raise ServingError(f"another process activated version {deployment.active.number} meanwhile")
            time.sleep(_POLL_SECONDS)


def _print_table(described: list[dict[str, Any]]) -> None:
    from lnlattennet._console import Table, stdout

    table = Table("version", "engine", "engine's hash", "bundle's hash", "deployed", "state")
    for version in described:
        table.add_row(
            str(version["version"]),
            version["engine"] or "",
            (version["model_hash"] or "")[:12],
            (version["bundle"] or "")[:12],
            (version["deployed"] or "")[:19].replace("T", " "),
            _state(version),
        )
    stdout().print(table)


def _state(version: dict[str, Any]) -> str:
    if version["damaged"]:
        return f"{'active, ' * version['active']}damaged: {version['damaged']}"
    if version["refused"]:
        return f"refused: {version['refused']}"
    if version["served"]:
        return "active, served" if version["active"] else "served"
    return "active" if version["active"] else ""
