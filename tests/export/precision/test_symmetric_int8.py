"""`model-int8.onnx` is in a bundle only if it passes the gate itself."""

from __future__ import annotations

import logging
from pathlib import Path

import onnx
import pytest

from lnlattennet.export._candidate import Candidate
from lnlattennet.export._symmetric_int8 import INT8_ONNX_NAME, write_symmetric_int8
from lnlattennet.export.gate._verification import create_verifier
from lnlattennet.export.precision._calibration import Ranges
from lnlattennet.model._checkpoint import load_checkpoint
from lnlattennet.runtimes._base import BatchRange
from lnlattennet.runtimes._onnxruntime import load_unfused
from lnlattennet.runtimes._precision import block_names
from tests.bundle.manifests import engine
from tests.conftest import SMALL


@pytest.mark.parametrize(("share", "passes"), [(1.0, True), (0.02, False)])
def test_the_int8_network_is_written_if_it_passes(
    share: float,
    passes: bool,
    checkpoint_path: Path,
    small_standard: onnx.ModelProto,
    small_ranges: Ranges,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With a fiftieth of the range of every tensor, nearly all activations are clipped."""
    plan = {name: "int8" if name.startswith("unet.") else "bf16" for name in block_names(SMALL)}
    candidates = [Candidate(engine("openvino-int8", plan=plan), tmp_path / "engine.xml", {})]
    clipped = {name: (share * low, share * high) for name, (low, high) in small_ranges.items()}
    verifier = create_verifier(load_checkpoint(checkpoint_path), 32, BatchRange(1, 4, 8), None)
    with caplog.at_level(logging.WARNING):
        write_symmetric_int8(tmp_path, small_standard, clipped, candidates, verifier, {"min_agreement": 0.9})
    path = tmp_path / INT8_ONNX_NAME
    assert path.exists() == passes
    assert passes or f"{INT8_ONNX_NAME} is left out: failed the gate: logits" in caplog.text
    assert not verifier.accuracies
    if passes:
        assert load_unfused(path)({"image": verifier.faces[:3]})["logits"].shape == (3, 7)


def test_without_an_int8_engine_there_is_none(
    checkpoint_path: Path, small_standard: onnx.ModelProto, tmp_path: Path
) -> None:
    verifier = create_verifier(load_checkpoint(checkpoint_path), 32, BatchRange(1, 4, 8), None)
    candidates = [Candidate(engine("openvino-fp32", plan={"unet.stem": "fp32"}), tmp_path / "e", {})]
    write_symmetric_int8(tmp_path, small_standard, {}, candidates, verifier, {})
    assert not list(tmp_path.iterdir())
