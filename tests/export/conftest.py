"""Fixtures of the tests of export."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest

from lnlattennet.export.onnx._exporter import export_onnx
from lnlattennet.export.onnx._inline import inlined
from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.runtimes._base import BatchRange


@pytest.fixture
def bundle_copy(bundle_path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle_path, tmp_path / "copy"))


@pytest.fixture(scope="session")
def small_onnx(checkpoint_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network's `model.onnx`, with its fused attention as a function; batches 1 to 8."""
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(load_checkpoint(checkpoint_path), path, BatchRange(1, 4, 8))
    return path


@pytest.fixture(scope="session")
def small_standard(small_onnx: Path) -> onnx.ModelProto:
    """The same in standard operators; not to be changed."""
    return inlined(onnx.load_model(str(small_onnx)))
