"""Can a release of NVIDIA's Triton container serve a bundle's engines?"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from packaging.specifiers import SpecifierSet

from lnlattennet.bundle._manifest import EngineRecord, Manifest
from lnlattennet.bundle.doctor._local import (
    MACHINE_CODE,
    Finding,
    Judgement,
    allows,
    install_command,
    judgement,
)
from lnlattennet.bundle.doctor._rebuild import rebuild_command
from lnlattennet.bundle.doctor._triton_releases import TritonRelease, known_releases
from lnlattennet.runtimes._cpu import EXACT_INT8
from lnlattennet.runtimes._machine import STAND_INS

_NATIVE = ("onnxruntime", "tensorrt")
"""Engine backends that Triton has a backend of the same name for; ``TritonRelease`` has a field for each."""

_TIED_TO_VERSION = ("tensorrt",)
"""Backends whose engine files belong to the version that wrote them, so that a rebuild helps."""

_PYTHON = SpecifierSet(str(metadata.metadata("lnlattennet")["Requires-Python"]))


def judge_for(manifest: Manifest, release: TritonRelease) -> list[Judgement]:
    """Return a judgement of every engine in this release's container, in the manifest's order.

    An engine runs in Triton's own backend for its runtime where there is one, else in the python backend.
    Pre- and postprocessing are Python models in either case, so the container's Python matters for all.

    Raises:
        BundleError: a passport that cannot be read.
    """
    return [_judge(manifest, engine, release) for engine in manifest.engines]


def _judge(manifest: Manifest, engine: EngineRecord, release: TritonRelease) -> Judgement:
    package = _library_of(engine)
    findings = [*_python(release), *_gpu(engine, release), *_cpu(engine)]
    if package:
        findings += _library(manifest, engine, release, package)
    installed = () if package else tuple(engine.requires.packages)
    install = f"in the container: {install_command(engine, 'lnlattennet', *installed)}"
    findings.append(Finding("runs", f"its Python models need packages that {release.image} lacks", install))
    return judgement(engine, findings, where=engine.backend if package else "python")


def _library_of(engine: EngineRecord) -> str:
    """Return the package of the passport that Triton's own backend brings, or ""; TensorRT-RTX is none."""
    if engine.backend not in _NATIVE:
        return ""
    names = (engine.backend, *STAND_INS.get(engine.backend, ()))
    return next((name for name in names if name in engine.requires.packages), "")


def _library(
    manifest: Manifest, engine: EngineRecord, release: TritonRelease, package: str
) -> Iterator[Finding]:
    found = getattr(release, engine.backend)
    if not allows(engine, package, found):
        reason = f"it needs {package} {engine.requires.packages[package]}, {release.release} has {found}"
        yield Finding("cannot", reason, _other_library(manifest, engine, package, found))


def _other_library(manifest: Manifest, engine: EngineRecord, package: str, found: str) -> str:
    fitting = [
        row.release
        for row in known_releases().values()
        if allows(engine, package, getattr(row, engine.backend))
    ]
    ways = [_one_of(fitting)] if fitting else []
    if engine.backend in _TIED_TO_VERSION:
        ways.append(f"pip install '{package}=={found}' and then: {rebuild_command(manifest, engine)}")
    return ", or: ".join(ways) or "serve another engine"


def _one_of(releases: list[str]) -> str:
    return f"take one of the releases {', '.join(releases)}"


def _python(release: TritonRelease) -> Iterator[Finding]:
    if not _PYTHON.contains(release.python):
        newer = [row.release for row in known_releases().values() if _PYTHON.contains(row.python)]
        yield Finding(
            "cannot",
            f"the model repository's Python models need Python {_PYTHON}, {release.release} has "
            f"{release.python}",
            _one_of(newer),
        )


def _cpu(engine: EngineRecord) -> Iterator[Finding]:
    if engine.requires.cpu_features:
        wanted = " ".join(engine.requires.cpu_features)
        without = "the process ends" if engine.backend in MACHINE_CODE else "it is slower"
        if set(engine.requires.cpu_features) & set(EXACT_INT8):
            without += ", and its answers may be others than those that passed the gate"
        yield Finding("runs", f"the host's CPU should have {wanted}: without, {without}")


def _gpu(engine: EngineRecord, release: TritonRelease) -> Iterator[Finding]:
    if engine.requires.device == "cuda":
        wanted = " or ".join(engine.requires.compute_capabilities)
        capability = f" of compute capability {wanted}" if wanted else ""
        yield Finding(
            "runs",
            f"it needs a GPU{capability}; CUDA {release.cuda} of {release.release} comes with driver "
            f"{release.driver}",
        )
