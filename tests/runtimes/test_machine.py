"""Facts of this machine, as the doctor reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lnlattennet._hardware import Gpu, parse_cpu_flags, parse_gpus
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
    machine = this_machine(["packaging", "no_such_package"])
    assert machine.gpus == ()
    assert machine.no_gpu == "nvidia-smi names no GPU: NVIDIA-SMI has failed"
    assert list(machine.packages) == ["packaging"]
