"""TensorRT engines that run: only where there is a GPU."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from lnlattennet.errors import ExportError
from lnlattennet.runtimes._base import BatchRange
from lnlattennet.runtimes._precision import PRECISIONS, PrecisionPlan
from lnlattennet.runtimes.tensorrt import _backend as tensorrt
from tests.runtimes.tensorrt.engines import built, needs_gpu, spec_for
from tests.runtimes.typed_graphs import write_graph


@pytest.mark.gpu
@needs_gpu
def test_a_runner_takes_every_batch_of_its_range_from_many_threads(tmp_path: Path) -> None:
    runner = tensorrt.load(built(tmp_path).path)
    generator = np.random.default_rng(0)
    batches = [generator.standard_normal((1 + k % 4, 3, 8, 8)).astype(np.float32) for k in range(16)]
    alone = [
        np.concatenate([runner({"image": image[None]})["logits"] for image in batch]) for batch in batches
    ]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda batch: runner({"image": batch})["logits"], batches))
    for one, other in zip(found, alone, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=1e-5)
    with pytest.raises(ExportError, match=r"takes shapes from \(1, 3, 8, 8\) to \(4, 3, 8, 8\)"):
        runner({"image": np.zeros((5, 3, 8, 8), np.float32)})


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_engine_agrees_with_onnx_runtime(precision: str, tmp_path: Path) -> None:
    import onnxruntime

    plan = PrecisionPlan({"unet.stem": precision})
    if reason := tensorrt.unsupported_reason(plan):
        pytest.skip(reason)
    runner = tensorrt.load(built(tmp_path, precision).path)
    image = np.random.default_rng(0).standard_normal((3, 3, 8, 8)).astype(np.float32)
    reference = write_graph(tmp_path / "reference.onnx", "fp32")
    session = onnxruntime.InferenceSession(str(reference), providers=["CPUExecutionProvider"])
    expected = session.run(["logits"], {"image": image})[0]
    tolerance = {"fp32": 1e-4, "fp16": 1e-2}.get(precision, 0.2)
    np.testing.assert_allclose(runner({"image": image})["logits"], expected, atol=tolerance)


@pytest.mark.gpu
@needs_gpu
def test_an_engine_gives_what_the_checkpoint_gives(checkpoint_path: Path, tmp_path: Path) -> None:
    import torch

    from lnlattennet.export.onnx._exporter import export_onnx
    from lnlattennet.model._checkpoint import load_checkpoint
    from lnlattennet.model._io_spec import OUTPUT_NAMES

    checkpoint = load_checkpoint(checkpoint_path)
    onnx_path = tmp_path / "model.onnx"
    export_onnx(checkpoint, onnx_path, BatchRange(1, 2, 4))
    spec = dataclasses.replace(spec_for(tmp_path), image_size=checkpoint.info.config.image_size)
    runner = tensorrt.load(tensorrt.build(onnx_path, spec).path)
    faces = np.random.default_rng(0).standard_normal((3, 3, 48, 48)).astype(np.float32)
    with torch.no_grad():
        expected = checkpoint.network()(torch.from_numpy(faces))
    found = runner({"image": faces})
    for output in OUTPUT_NAMES:
        np.testing.assert_allclose(found[output], getattr(expected, output), atol=1e-4, rtol=0)
