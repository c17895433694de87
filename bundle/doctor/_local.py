"""Comparison of every engine's requirements with the facts of this machine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from lnlattennet.bundle._manifest import EngineRecord, Manifest
from lnlattennet.bundle.doctor._rebuild import rebuild_command
from lnlattennet.errors import BundleError, UnavailableError, UsageError
from lnlattennet.images.finders._registry import finder_named, version_note
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._machine import EXACT_INT8, Machine, this_machine
from lnlattennet.runtimes._registry import BACKENDS, backend_named, unknown_backend

Effect = Literal["cannot", "slower", "runs"]
_WORST_FIRST: tuple[Effect, ...] = ("cannot", "slower", "runs")


@dataclass(frozen=True)
class Issue:
    """Reason why an engine does not run, runs slower, or needs attention.

    Attributes:
        effect: "cannot" if the engine will not run, "slower" if it runs below the speed that was measured,
            "runs" if it runs and the reader should know the reason.
        reason: the requirement, and what the machine or release has instead.
        remedy: what to do about it, a command where there is one, or "".
    """

    effect: Effect
    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class CompatibilityReport:
    """Verdict on one engine, with its reasons and remedies.

    Attributes:
        verdict: the worst effect of all issues.
        where: the Triton backend that would run the engine, or "" on this machine.
    """

    engine: str
    verdict: Effect
    reasons: tuple[str, ...]
    remedies: tuple[str, ...]
    where: str = ""


def check_local(manifest: Manifest, machine: Machine) -> list[CompatibilityReport]:
    """Compare every engine with this machine, in the manifest's order.

    Raises:
        BundleError: requirements that cannot be read.
    """
    faces = list(_face_finder(manifest.preprocessing))
    return [summarize(engine, [*faces, *_issues(manifest, engine, machine)]) for engine in manifest.engines]


def check_engine(manifest: Manifest, name: str, natively: bool = False) -> CompatibilityReport:
    """Compare one engine with this machine, but not the face finder.

    Args:
        manifest: manifest that has the engine.
        name: the engine's name.
        natively: whether a server runs it with a library of its own, so that no Python package matters.

    Raises:
        BundleError: no engine of that name, or requirements that cannot be read.
    """
    engine = manifest.engine(name)
    machine = this_machine(packages_to_run(engine))
    return summarize(engine, _issues(manifest, engine, machine, natively))


def summarize(engine: EngineRecord, issues: Iterable[Issue], where: str = "") -> CompatibilityReport:
    """Merge issues into a report: the worst effect decides, and every remedy is named once."""
    issues = list(issues)
    if engine.status != "passed":
        reason = f"it was built but never run ({engine.reason}), so its outputs are not verified"
        issues.append(Issue("runs", reason))
    worst: Effect = min((issue.effect for issue in issues), key=_WORST_FIRST.index, default="runs")
    # If an engine cannot run, only the reasons for that are of interest.
    shown_effects = {worst} if worst == "cannot" else {worst, "runs"}
    shown = [issue for issue in issues if issue.effect in shown_effects]
    remedies = dict.fromkeys(issue.remedy for issue in shown if issue.remedy)
    return CompatibilityReport(
        engine=engine.name,
        verdict=worst,
        reasons=tuple(issue.reason for issue in shown),
        remedies=tuple(remedies),
        where=where,
    )


def allows(engine: EngineRecord, specifier: str, version: str) -> bool:
    """Return whether a specifier of an engine's requirements allows this version.

    Raises:
        BundleError: the version specifier is not one of PEP 440.
    """
    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except (InvalidSpecifier, InvalidVersion) as error:
        raise BundleError(f"engine {engine.name} has requirements that cannot be read: {error}") from error


def packages_to_run(engine: EngineRecord) -> dict[str, str]:
    """Return package -> version specifier of all that loading an engine imports, in Python.

    Manifests of earlier versions leave out what a runtime's runner imports beside the runtime.
    """
    packages = dict(engine.requires.packages)
    if engine.backend not in BACKENDS:
        return packages
    info = backend_named(engine.backend).INFO
    for name, specifier in info.runner_packages.items():
        package = next((other for other in (name, *info.packages.get(name, ())) if other in packages), name)
        both = dict.fromkeys((packages.get(package, ""), specifier))
        packages[package] = ",".join(filter(None, both))
    return packages


def install_command(engine: EngineRecord, *packages: str) -> str:
    """Return the pip command that installs these packages in the versions that the engine requires."""
    needed = packages_to_run(engine)
    return " ".join(["pip install", *(f"'{name}{needed.get(name, '')}'" for name in packages)])


def runnable_engines(manifest: Manifest) -> list[str]:
    """Return the engines that can run here: the selected one, then the others by their latency.

    A face finder that is missing is not considered: cropped faces need none.
    """
    machine = this_machine(name for engine in manifest.engines for name in packages_to_run(engine))
    engines = [
        engine
        for engine in manifest.engines
        if all(issue.effect != "cannot" for issue in _issues(manifest, engine, machine))
    ]
    engines.sort(key=lambda engine: engine.latency[0].median_ms if engine.latency else math.inf)
    engines.sort(key=lambda engine: engine.name != manifest.selected)
    return [engine.name for engine in engines]


def _issues(
    manifest: Manifest, engine: EngineRecord, machine: Machine, natively: bool = False
) -> Iterator[Issue]:
    if engine.backend not in BACKENDS:
        yield Issue("cannot", unknown_backend(engine.backend), "pip install --upgrade lnlattennet")
        return
    rebuild, platform = rebuild_command(manifest, engine), engine.requires.platform
    foreign = platform not in ("", machine.platform)
    if foreign:
        yield Issue("cannot", f"it was built for {platform}, this is {machine.platform}", rebuild)
    if not natively:
        yield from _packages(engine, machine, rebuild)
    if engine.requires.device == "cuda":
        yield from _gpu(engine, machine, rebuild)
    if not foreign:  # no flag of another processor can be here
        yield from _cpu(engine, machine, rebuild)


def _face_finder(preprocessing: Preprocessing) -> Iterator[Issue]:
    """Load the finder: prediction of images and every served model need it, whatever the engine."""
    try:
        finder = finder_named(preprocessing.face_finder)
        finder.create()
    except (UnavailableError, UsageError) as error:
        yield Issue("cannot", str(error))
        return
    if note := version_note(preprocessing.face_finder, preprocessing.face_finder_version):
        yield Issue("runs", note)


def _packages(engine: EngineRecord, machine: Machine, rebuild: str) -> Iterator[Issue]:
    for package, specifier in packages_to_run(engine).items():
        installed = machine.packages.get(package)
        install = install_command(engine, package)
        if installed is None:
            yield Issue("cannot", f"{package} is not installed", install)
        elif not allows(engine, specifier, installed):
            yield Issue(
                "cannot", f"it needs {package} {specifier}, here is {installed}", f"{install}, or: {rebuild}"
            )


def _gpu(engine: EngineRecord, machine: Machine, rebuild: str) -> Iterator[Issue]:
    wanted = engine.requires.compute_capabilities
    capabilities = f" of compute capability {' or '.join(wanted)}" if wanted else ""
    if not machine.gpus:
        remedy = f"run it on a machine with an NVIDIA GPU{capabilities}"
        yield Issue("cannot", f"it needs a GPU: {machine.no_gpu}", remedy)
        return
    if wanted and not any(gpu.compute_capability in wanted for gpu in machine.gpus):
        here = ", ".join(f"{gpu.name} ({gpu.compute_capability})" for gpu in machine.gpus)
        yield Issue("cannot", f"it needs a GPU{capabilities}, here is {here}", rebuild)
    yield from _driver(engine, machine.gpus[0].driver)


def _driver(engine: EngineRecord, installed: str) -> Iterator[Issue]:
    wanted = engine.requires.driver
    try:
        # Where nobody tells the installed one, it may do.
        old = bool(wanted and installed) and Version(installed) < Version(wanted)
    except InvalidVersion as error:
        raise BundleError(f"engine {engine.name}: the driver's version cannot be read: {error}") from error
    if old:
        remedy = f"update the NVIDIA driver to {wanted} or later"
        yield Issue("cannot", f"it needs NVIDIA driver {wanted} or later, here is {installed}", remedy)


def _cpu(engine: EngineRecord, machine: Machine, rebuild: str) -> Iterator[Issue]:
    missing = [name for name in engine.requires.cpu_features if name not in machine.cpu_features]
    if not missing:
        return
    flags = ", ".join(missing)
    if backend_named(engine.backend).INFO.machine_code:
        yield Issue("cannot", f"its code has instructions that this CPU lacks: {flags}", rebuild)
    else:
        reason = f"this CPU lacks {flags}, with which its latency was measured"
        if set(missing) & set(EXACT_INT8) and not set(EXACT_INT8) & set(machine.cpu_features):
            reason += (
                "; its sums of 8-bit products may saturate here, so outputs may differ from the verified ones"
            )
        yield Issue("slower", reason, rebuild)
