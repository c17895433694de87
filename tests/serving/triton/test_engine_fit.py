"""Engines that a backend of the server runs: built for another GPU, or another version than it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from lnlattennet.bundle.doctor import _local
from lnlattennet.errors import UnavailableError
from lnlattennet.machine._hardware import Gpu
from lnlattennet.runtimes._machine import Machine
from lnlattennet.runtimes._requirements import Requirements
from lnlattennet.serving.triton._engine_fit import require_runnable
from tests.bundle.manifests import engine, manifest

H100 = Machine(platform="Linux x86_64", python="3.12.3", gpus=(Gpu("NVIDIA H100", "9.0", "595.58.03"),))


@pytest.fixture(autouse=True)
def in_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container of release 26.04 (TensorRT 10.16.1.11), and a GPU."""
    program = tmp_path / "tritonserver"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("NVIDIA_TRITON_SERVER_VERSION", "26.04")
    monkeypatch.setattr(_local, "this_machine", lambda packages: H100)


def require(version: str, capability: str) -> None:
    needs = Requirements(
        device="cuda", packages={"tensorrt": f"=={version}"}, compute_capabilities=[capability]
    )
    require_runnable(manifest(engine("tensorrt-fp16", requires=needs)), {"python", "tensorrt"})


def test_a_fitting_engine_needs_no_python_package() -> None:
    require("10.16.1.11", "9.0")


@pytest.mark.parametrize(
    ("version", "capability", "reason"),
    [
        ("10.16.1.11", "8.9", r"a GPU of compute capability 8\.9, here is NVIDIA H100 \(9\.0\)"),
        ("10.9.0.34", "9.0", r"needs tensorrt ==10\.9\.0\.34, 26\.04 has 10\.16\.1\.11"),
    ],
)
def test_another_gpu_or_version_is_refused(version: str, capability: str, reason: str) -> None:
    with pytest.raises(UnavailableError, match=reason) as caught:
        require(version, capability)
    assert "What to do: " in str(caught.value)
    assert "export-engine" in str(caught.value)
    assert str(caught.value).endswith("Engines that can: none")
