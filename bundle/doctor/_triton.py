"""Comparison of every engine's requirements with a release of NVIDIA's Triton container."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from packaging.specifiers import SpecifierSet

from lnlattennet._version import __version__
from lnlattennet.bundle._manifest import EngineRecord, Manifest
from lnlattennet.bundle.doctor._local import (
    CompatibilityReport,
    Issue,
    allows,
    install_command,
    packages_to_run,
    summarize,
)
from lnlattennet.bundle.doctor._rebuild import rebuild_command
from lnlattennet.bundle.doctor._triton_releases import TritonRelease, known_releases
from lnlattennet.errors import UsageError
from lnlattennet.images.finders._registry import finder_named
from lnlattennet.runtimes._machine import EXACT_INT8
from lnlattennet.runtimes._registry import BACKENDS, backend_named, unknown_backend

_WHEEL = f"lnlattennet-{__version__}-py3-none-any.whl"
_PYTHON = SpecifierSet(str(metadata.metadata("lnlattennet")["Requires-Python"]))


def check_triton(manifest: Manifest, release: TritonRelease) -> list[CompatibilityReport]:
    """Compare every engine with this release's container, in the manifest's order.

    An engine runs in Triton's own backend for its runtime where there is one, else in the python backend.
    Pre- and postprocessing are Python models in either case, so the container's Python matters for all.

    Raises:
        BundleError: requirements that cannot be read.
    """
    return [_check(manifest, engine, release) for engine in manifest.engines]


def _check(manifest: Manifest, engine: EngineRecord, release: TritonRelease) -> CompatibilityReport:
    if engine.backend not in BACKENDS:
        return summarize(engine, [Issue("cannot", unknown_backend(engine.backend))])
    package = backend_named(engine.backend).INFO.triton_package(engine.requires.packages)
    issues = [*_python(release), *_gpu(engine, release), *_cpu(engine)]
    if package:
        issues += _library(manifest, engine, release, package)
    issues.append(_python_packages(manifest, engine, release, natively=bool(package)))
    return summarize(engine, issues, where=engine.backend if package else "python")


def _python_packages(
    manifest: Manifest, engine: EngineRecord, release: TritonRelease, *, natively: bool
) -> Issue:
    """Say what the Python models need, whatever the engine, and the engine unless Triton runs it natively."""
    try:
        finder = finder_named(manifest.preprocessing.face_finder).INFO.extra
    except UsageError as error:
        return Issue("cannot", str(error))
    installed = () if natively else tuple(packages_to_run(engine))
    # `lnlattennet serve --deploy-to` in the container writes Triton's configuration with its client.
    extras = ",".join(filter(None, ("triton", finder)))
    install = f"in the container: {install_command(engine, f'./{_WHEEL}[{extras}]', *installed)}"
    install += f" (pip wheel --no-deps CLONE makes {_WHEEL})"
    return Issue("runs", f"its Python models need packages that {release.image} lacks", install)


def _library(
    manifest: Manifest, engine: EngineRecord, release: TritonRelease, package: str
) -> Iterator[Issue]:
    # ``TritonRelease`` has a field for each of Triton's own backends.
    version = getattr(release, engine.backend)
    if allows(engine, engine.requires.packages[package], version):
        return
    fitting = [
        row.release
        for row in known_releases().values()
        if allows(engine, engine.requires.packages[package], getattr(row, engine.backend))
    ]
    remedies = [_take_release(fitting)] if fitting else []
    if backend_named(engine.backend).INFO.version_bound:
        remedies.append(f"pip install '{package}=={version}' and then: {rebuild_command(manifest, engine)}")
    reason = f"it needs {package} {engine.requires.packages[package]}, {release.release} has {version}"
    yield Issue("cannot", reason, ", or: ".join(remedies) or "serve another engine")


def _take_release(releases: list[str]) -> str:
    return f"take one of the releases {', '.join(releases)}"


def _python(release: TritonRelease) -> Iterator[Issue]:
    if not _PYTHON.contains(release.python):
        newer = [row.release for row in known_releases().values() if _PYTHON.contains(row.python)]
        yield Issue(
            "cannot",
            f"the model repository's Python models need Python {_PYTHON}, {release.release} has "
            f"{release.python}",
            _take_release(newer),
        )


def _cpu(engine: EngineRecord) -> Iterator[Issue]:
    if engine.requires.cpu_features:
        wanted = " ".join(engine.requires.cpu_features)
        without = "the process crashes" if backend_named(engine.backend).INFO.machine_code else "it is slower"
        if set(engine.requires.cpu_features) & set(EXACT_INT8):
            without += ", and its outputs may differ from the verified ones"
        yield Issue("runs", f"the host's CPU should have {wanted}: without these, {without}")


def _gpu(engine: EngineRecord, release: TritonRelease) -> Iterator[Issue]:
    if engine.requires.device == "cuda":
        wanted = " or ".join(engine.requires.compute_capabilities)
        capability = f" of compute capability {wanted}" if wanted else ""
        yield Issue(
            "runs",
            f"it needs a GPU{capability}; CUDA {release.cuda} of {release.release} comes with driver "
            f"{release.driver}",
        )
