"""Fixtures that take long to set up and are shared by several files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernels.cuda_emulation.emulator import Emulator, build


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The CUDA kernels compiled for an emulated GPU, ready for launches."""
    with Emulator(build(tmp_path_factory.mktemp("cuda_emulation"))) as running:
        yield running
