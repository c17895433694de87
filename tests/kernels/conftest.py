"""Fixtures that take long to set up and are shared by several files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import MakeOnce
from tests.kernels.cuda_emulation.emulator import Emulator, build


@pytest.fixture(scope="session")
def emulator(make_once: MakeOnce) -> Iterator[Emulator]:
    """The CUDA kernels compiled for an emulated GPU, ready for launches."""
    with Emulator(make_once("emulated_kernels", build)) as running:
        yield running
