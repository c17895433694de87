"""Whether the engine that a bundle serves can run where it is to be served."""

from __future__ import annotations

from collections.abc import Collection

from lnlattennet.bundle._manifest import Manifest
from lnlattennet.bundle.doctor import CompatibilityReport, check_triton, known_releases
from lnlattennet.bundle.doctor._local import check_engine, runnable_engines
from lnlattennet.errors import UnavailableError
from lnlattennet.runtimes._machine import installed_server
from lnlattennet.serving.triton._model_config import runs_natively


def require_runnable(manifest: Manifest, backends: Collection[str]) -> None:
    """Refuse a selected engine that was built for another GPU, runtime version or kind of processor.

    A server would fail to load it with a message of its runtime, or answer with outputs that nobody verified.

    Args:
        manifest: manifest whose selected engine is to be served.
        backends: names of the server's backends.

    Raises:
        UnavailableError: it cannot run here; the message says why, what to do and which engines can.
    """
    reports = _reports(manifest, runs_natively(manifest.engine(), backends))
    report = next((report for report in reports if report.verdict == "cannot"), None)
    if report is None:
        return
    others = [name for name in runnable_engines(manifest) if name != manifest.selected]
    raise UnavailableError(
        f"engine {report.engine}, which is to be served, cannot run here: {'; '.join(report.reasons)}. "
        f"What to do: {'; '.join(report.remedies)}. Engines that can: {', '.join(others) or 'none'}"
        + ("; deploy one of them with --engine, and serve that deployment" if others else "")
    )


def _reports(manifest: Manifest, natively: bool) -> list[CompatibilityReport]:
    reports = [check_engine(manifest, manifest.selected, natively)]
    release = installed_server()
    known = known_releases()
    if natively and release and release[1] in known:
        # The server's own library runs it, whose version that of its release tells.
        in_release = check_triton(manifest, known[release[1]])
        reports += [report for report in in_release if report.engine == manifest.selected]
    return reports
