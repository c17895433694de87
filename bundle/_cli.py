"""The commands `lnlattennet info`, `doctor` and `compare`."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from lnlattennet._cli_options import AllowPickle, parse_percent
from lnlattennet._command import print_json
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle.doctor._local import check_local, packages_to_run
from lnlattennet.bundle.doctor._triton import check_triton
from lnlattennet.bundle.doctor._triton_releases import TritonRelease, is_safe, security_advice, triton_release
from lnlattennet.errors import CheckpointError, UnavailableError, UsageError, require
from lnlattennet.images.finders._registry import finder_infos
from lnlattennet.runtimes._machine import Machine, installed_server, this_machine
from lnlattennet.runtimes._registry import backend_infos

_JSON = typer.Option("--json", help="Print one JSON document.")

_PACKAGES = {
    "export": ("onnx", "onnxscript", "onnx-ir", "ml-dtypes", "safetensors"),
    "serving": ("nvidia-pytriton", "tritonclient", "numpy"),
}
_COMPILERS = ("c++", "g++", "clang++", "nvcc")


def info(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A checkpoint file or the folder of a bundle; without one, the default network is described."
        ),
    ] = None,
    presets: Annotated[
        bool,
        typer.Option(
            "--presets",
            help="List the networks that have a name: parameters and FLOPs. The accuracy and the time of "
            "trained ones are in checkpoints/README.md.",
        ),
    ] = False,
    allow_pickle: AllowPickle = False,
    json_output: Annotated[bool, _JSON] = False,
) -> None:
    """Describe a network or a bundle.

    A network: configuration, parameters and FLOPs of each part, classes, provenance.

    A bundle: its engines with precision, checks, latency and requirements; those that were skipped.
    """
    if path is not None and path.is_dir() and not presets:
        from lnlattennet.bundle._console import print_bundle

        bundle = Bundle.load(path)
        print_json(bundle.describe()) if json_output else print_bundle(bundle)
        return
    if path is not None and not path.exists():
        raise CheckpointError(f"there is no checkpoint file and no bundle at {path}")
    require("torch", "export")
    from lnlattennet.model._console import print_network, print_presets
    from lnlattennet.model._summary import describe, describe_presets

    if presets:
        if path is not None:
            raise UsageError(f"--presets describes no file: leave out {path}")
        sizes = describe_presets()
        print_json(sizes) if json_output else print_presets(sizes)
        return
    document = describe(path, allow_pickle=allow_pickle)
    print_json(document) if json_output else print_network(document)


def doctor(
    bundle: Annotated[
        Path | None, typer.Argument(help="Folder of a bundle; without one, this machine is described.")
    ] = None,
    target_triton: Annotated[
        str | None,
        typer.Option(help="Check for this release of NVIDIA's Triton container, such as 26.04, instead."),
    ] = None,
    json_output: Annotated[bool, _JSON] = False,
) -> None:
    """Check which engines of a bundle run here or in a Triton release.

    Ends with exit code 4 if the bundle's selected engine cannot run there.
    """
    from lnlattennet.bundle._console import print_compatibility, print_machine

    if bundle is None:
        if target_triton is not None:
            raise UsageError("--target-triton checks a bundle: lnlattennet doctor BUNDLE --target-triton ...")
        document = _describe_machine()
        print_json(document) if json_output else print_machine(document)
        return
    release = None if target_triton is None else triton_release(target_triton)
    document = examine(Bundle.load(bundle), release)
    print_json(document) if json_output else print_compatibility(document)
    _require_selected(document)


def compare(
    a: Annotated[Path, typer.Argument(help="Folder of the bundle to compare with.")],
    b: Annotated[Path, typer.Argument(help="Folder of the other bundle.")],
    fail_on_regression: Annotated[
        str | None,
        typer.Option(help="End with exit code 5 if B's selected engine is slower by more, such as 5%."),
    ] = None,
    json_output: Annotated[bool, _JSON] = False,
) -> None:
    """Compare two bundles: engines, latency, agreement and size."""
    percent = None if fail_on_regression is None else parse_percent(fail_on_regression)
    from lnlattennet.bundle._compare import compare_bundles, require_no_regression
    from lnlattennet.bundle._console import print_comparison

    first, second = Bundle.load(a), Bundle.load(b)
    comparison = compare_bundles(first, second)
    print_json(comparison) if json_output else print_comparison(comparison)
    if percent is not None:
        require_no_regression(first.manifest, second.manifest, percent)


def examine(bundle: Bundle, release: TritonRelease | None) -> dict[str, Any]:
    """Return the JSON document of `doctor` for a verified bundle, on this machine or in a Triton release."""
    manifest, machine = bundle.manifest, None
    if release:
        reports = check_triton(manifest, release)
    else:
        machine = this_machine(name for engine in manifest.engines for name in packages_to_run(engine))
        reports = check_local(manifest, machine)
    selected = next(report for report in reports if report.engine == manifest.selected)
    return {
        "bundle": str(bundle.path),
        "machine": machine.to_json() if machine else None,
        "target": release.model_dump() if release else None,
        "selected": manifest.selected,
        "selected_runs": selected.verdict != "cannot",
        "engines": [dataclasses.asdict(report) for report in reports],
        "security": _security(release),
    }


def _describe_machine() -> dict[str, Any]:
    runtimes = sorted({package for info in backend_infos() for package in info.packages})
    finders = sorted({info.package for info in finder_infos()})
    packages = {"runtimes": runtimes, "finders": finders, **_PACKAGES}
    machine = this_machine(name for names in packages.values() for name in names)
    return {
        "machine": machine.to_json(),
        "packages": {
            purpose: {name: machine.packages.get(name) for name in names}
            for purpose, names in packages.items()
        },
        "compilers": {name: shutil.which(name) or "is not on PATH" for name in _COMPILERS},
        "server": _server(machine),
        "security": _security(None),
    }


def _server(machine: Machine) -> str:
    found = installed_server()
    if found is None:
        embedded = machine.packages.get("nvidia-pytriton")
        return (
            f"the one of nvidia-pytriton {embedded}: for development and CI only"
            if embedded
            else "none: neither on PATH nor as pip install 'lnlattennet[server]'"
        )
    program, release = found
    if not release:
        return f"{program}, release unknown"
    return f"{program}, release {release}" + ("" if is_safe(release) else ": has known security holes")


def _security(release: TritonRelease | None) -> list[str]:
    if release is None or is_safe(release.release):
        return [security_advice()]
    return [f"Triton {release.release} has known security holes: {security_advice()}"]


def _require_selected(document: dict[str, Any]) -> None:
    if document["selected_runs"]:
        return
    target = document["target"]
    place = f"in Triton {target['release']}" if target else "here"
    engines = {engine["engine"]: engine for engine in document["engines"]}
    running = [name for name, engine in engines.items() if engine["verdict"] != "cannot"]
    chosen = engines[document["selected"]]
    # The error of a face finder names its own way out.
    remedies = f"What to do: {'; '.join(chosen['remedies'])}. " if chosen["remedies"] else ""
    raise UnavailableError(
        f"the selected engine {document['selected']} cannot run {place}: {'; '.join(chosen['reasons'])}. "
        f"{remedies}Engines that can: {', '.join(running) or 'none'}"
    )
