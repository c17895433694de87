"""Contents of NVIDIA's Triton containers, from a table with its sources, and the oldest safe release."""

from __future__ import annotations

import functools
from importlib import resources

from packaging.version import Version
from pydantic import BaseModel, ConfigDict

from lnlattennet.errors import UsageError

SAFE_SINCE = "26.04"
"""Oldest release for production; older ones lack some of the fixes in ``FIXED_BY_THEN``."""

FIXED_BY_THEN = (
    "CVE-2025-23310",
    "CVE-2025-23316",
    "CVE-2025-23319",
    "CVE-2025-23320",
    "CVE-2025-23334",
    "CVE-2026-24206",
    "CVE-2026-24207",
    "CVE-2026-24264",
    "CVE-2026-24266",
)

EMBEDDED_SERVER = "2.51.0"
"""Version of the tritonserver in the nvidia-pytriton wheel that the `server` extra pins."""


class TritonRelease(BaseModel):
    """One container ``nvcr.io/nvidia/tritonserver:RELEASE-py3``.

    Attributes:
        release: year and month, such as "26.04".
        server: version of the server; None where no source was found.
        driver: NVIDIA driver that the release's CUDA comes with.
        sources: field -> page that it was read from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    release: str
    server: str | None
    tensorrt: str
    onnxruntime: str
    cuda: str
    driver: str
    python: str
    sources: dict[str, str]

    @property
    def image(self) -> str:
        """Name of the container image."""
        return f"nvcr.io/nvidia/tritonserver:{self.release}-py3"


class _Table(BaseModel):
    about: str
    releases: list[TritonRelease]


@functools.cache
def known_releases() -> dict[str, TritonRelease]:
    """Return release -> what its container holds, the oldest first."""
    text = resources.files("lnlattennet.bundle.doctor").joinpath("triton_releases.json").read_bytes()
    return {row.release: row for row in _Table.model_validate_json(text).releases}


def triton_release(name: str) -> TritonRelease:
    """Return the release called ``name``; raise UsageError with the known ones otherwise."""
    known = known_releases()
    if name not in known:
        raise UsageError(
            f"--target-triton {name!r}: the contents of that release are not known; known: {', '.join(known)}"
        )
    return known[name]


def is_safe(release: str) -> bool:
    """Return whether a release, such as "26.04", is safe in production."""
    return Version(release) >= Version(SAFE_SINCE)


def security_advice() -> str:
    """Return the recommendation of a server."""
    return (
        f"in production run Triton {SAFE_SINCE} or later, which has the fixes for "
        f"{', '.join(FIXED_BY_THEN)}; the embedded server ({EMBEDDED_SERVER}, of nvidia-pytriton) is for "
        "development and CI only"
    )
