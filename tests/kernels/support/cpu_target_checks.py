"""Tests that test_cpu_targets.py runs in a process per SIMD target; not collected by themselves."""

from __future__ import annotations

import ctypes
import os

import pytest

from lnlattennet.kernels._loader import implementation
from tests.kernels.support.cases import FEW_CASES, Case
from tests.kernels.support.checks import (
    check_local_nonlocal_attention,
    check_region_attention,
    check_region_attention_backward,
)
from tests.kernels.test_nonlocal_attention import JOINT


@pytest.mark.parametrize("case", FEW_CASES, ids=str)
def test_region_attention(case: Case) -> None:
    check_region_attention(case, "cpu")
    check_region_attention_backward(case, "cpu")


@pytest.mark.parametrize("case", JOINT, ids=str)
def test_local_nonlocal_attention(case: Case) -> None:
    check_local_nonlocal_attention(case, "cpu")


def test_the_target_is_the_one_that_was_asked_for() -> None:
    running = implementation("cpu")
    assert running.library is not None, running.reason
    target = ctypes.CDLL(str(running.library)).lnlattennet_cpu_target
    target.restype = ctypes.c_char_p
    assert target().decode() == os.environ["LNLATTENNET_CPU_TARGET"]
