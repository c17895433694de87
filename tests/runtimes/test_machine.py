"""Facts of this machine, as the doctor reads them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lnlattennet.machine import _cuda_driver
from lnlattennet.machine._hardware import Gpu, find_gpus, parse_cpu_flags, parse_gpus
from lnlattennet.runtimes._machine import this_machine


def test_cpu_flags_are_read_on_both_processors() -> None:
    assert parse_cpu_flags("processor : 0\nflags\t\t: fpu avx2\n\nflags : other\n") == {"fpu", "avx2"}
    assert parse_cpu_flags("processor : 0\nFeatures : fp asimd\n") == {"fp", "asimd"}
    assert parse_cpu_flags("") == frozenset()


def test_what_nvidia_smi_prints_is_read_also_with_a_comma_in_a_name() -> None:
    text = "NVIDIA H100 80GB HBM3, 9.0, 580.65.06\nQuadro, special, 7.5, 580.65.06\nNo devices were found\n"
    assert parse_gpus(text) == (
        Gpu("NVIDIA H100 80GB HBM3", "9.0", "580.65.06"),
        Gpu("Quadro, special", "7.5", "580.65.06"),
    )


def test_a_silent_nvidia_smi_means_no_gpu_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed' >&2\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    make_cuda_driver(tmp_path, status=100)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    machine = this_machine(["packaging", "no_such_package"])
    assert machine.gpus == ()
    assert machine.no_gpu == (
        "neither nvidia-smi (NVIDIA-SMI has failed) nor CUDA's driver (cuInit fails with CUDA error 100) "
        "names a GPU"
    )
    assert list(machine.packages) == ["packaging"]


def make_cuda_driver(folder: Path, status: int = 0) -> None:
    """Compile a library with the interface of CUDA's driver: it answers as for two GPUs, or with an error.

    It shows that the interface is called as it is documented, not what a driver answers.
    """
    source = folder / "driver.c"
    source.write_text(CUDA_DRIVER.replace("STATUS", str(status)))
    compiler = shutil.which("cc") or "cc"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "libcuda.so.1", source], check=True)


CUDA_DRIVER = """
#include <stdio.h>
int cuInit(unsigned flags) { return flags == 0 ? STATUS : 1; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 40 + ordinal; return 0; }
int cuDeviceGetName(char *name, int length, int device) {
    snprintf(name, length, "GPU, number %d", device); return 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 9 : attribute == 76 ? device - 40 : -1; return 0;
}
"""


def test_without_nvidia_smi_the_driver_tells_the_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_cuda_driver(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    gpus, reason = find_gpus()
    assert [(gpu.name, gpu.compute_capability) for gpu in gpus] == [
        ("GPU, number 40", "9.0"),
        ("GPU, number 41", "9.1"),
    ]
    assert reason == ""


@pytest.mark.parametrize(
    ("first_line", "version"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun  6 2023",
            "535.54.03",
        ),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build", "570.86.15"),
        ("something else", ""),
    ],
)
def test_the_version_of_the_driver_is_that_of_the_kernels_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_line: str, version: str
) -> None:
    file = tmp_path / "version"
    file.write_text(f"{first_line}\nGCC version:  gcc version 12.3.0\n")
    monkeypatch.setattr(_cuda_driver, "_VERSION_FILE", file)
    assert _cuda_driver._driver_version() == version
