"""Every SIMD target that this machine has gives the same answers; LNLATTENNET_CPU_TARGET chooses it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lnlattennet.kernels._loader import implementation
from tests.kernels.support.checks import ops
from tests.kernels.support.cpu_targets import NEEDS, supported_targets, targets_in_sources
from tests.kernels.support.marks import exhaustive

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FILES = [
    HERE / "support" / "cpu_target_checks.py",
    HERE / "test_half_conversions.py",
    HERE / "test_extremes.py",
]
# Not this project's pytest configuration: a bare machine lacks what it names.
OPTIONS = ["-q", "-m", "not gpu", "-c", os.devnull, "--rootdir=.", "--noconftest"]
OPTIONS += ["--import-mode=importlib", "-p", "no:cacheprovider"]
FEW_REGIONS = torch.ones(1, 2, 2, 2), torch.ones(4, 1, 2), 2
PROGRAM = """
import torch, lnlattennet.kernels
torch.ops.lnlattennet.region_attention(torch.ones(1, 2, 2, 2), torch.ones(4, 1, 2), 2)
"""


@pytest.fixture(autouse=True)
def compiled_kernels() -> None:
    ops.region_attention(*FEW_REGIONS)
    running = implementation("cpu")
    if running.kind != "compiled":
        pytest.skip(f"no compiled kernels: {running.reason}")


def run(target: str, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, timeout=250, cwd=ROOT,
        env={**os.environ, "LNLATTENNET_CPU_TARGET": target},
    )  # fmt: skip


def test_every_target_in_the_sources_is_known_here() -> None:
    assert set(targets_in_sources()) <= set(NEEDS)


BEST = max(supported_targets(), key=lambda target: len(NEEDS[target]))


@pytest.mark.parametrize(
    "target",
    # The best one is what the other files test in their own process.
    [pytest.param(name, marks=exhaustive) if name == BEST else name for name in targets_in_sources()],
)
def test_a_target_gives_the_right_answers(target: str) -> None:
    if target not in supported_targets():
        pytest.skip(f"this CPU has no {target}")
    done = run(target, "-m", "pytest", *OPTIONS, *FILES)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr


def test_the_best_target_is_the_default() -> None:
    if "LNLATTENNET_CPU_TARGET" in os.environ:
        pytest.skip("LNLATTENNET_CPU_TARGET is set")
    assert implementation("cpu").target == BEST


@pytest.mark.parametrize("target", ["sse9", "AVX2"])
def test_an_unknown_target_is_refused_at_first_use(target: str) -> None:
    done = run(target, "-c", PROGRAM)
    assert done.returncode != 0
    assert f"lnlattennet.errors.ConfigError: LNLATTENNET_CPU_TARGET is '{target}'" in done.stderr
    assert "generic" in done.stderr
