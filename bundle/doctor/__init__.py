"""Compatibility checks of a bundle with this machine or with a release of NVIDIA's Triton container."""

from lnlattennet.bundle.doctor._local import CompatibilityReport, check_local
from lnlattennet.bundle.doctor._rebuild import rebuild_command
from lnlattennet.bundle.doctor._triton import check_triton
from lnlattennet.bundle.doctor._triton_releases import (
    TritonRelease,
    known_releases,
    security_advice,
    triton_release,
)

__all__ = [
    "CompatibilityReport",
    "TritonRelease",
    "check_local",
    "check_triton",
    "known_releases",
    "rebuild_command",
    "security_advice",
    "triton_release",
]
