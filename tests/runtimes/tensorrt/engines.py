"""Engines for the tests of the TensorRT backend."""

from __future__ import annotations

from pathlib import Path

import pytest

from lnlattennet.runtimes._base import BatchRange, BuildSpec, EngineFile
from lnlattennet.runtimes._precision import PrecisionPlan
from lnlattennet.runtimes.tensorrt import _backend as tensorrt
from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig
from lnlattennet.runtimes.tensorrt._cuda_memory import why_no_gpu
from lnlattennet.runtimes.tensorrt._library import RTX, module_name
from tests.runtimes.typed_graphs import write_graph

needs_gpu = pytest.mark.skipif(bool(why_no_gpu()), reason=why_no_gpu() or "a GPU is there")
rtx_only = pytest.mark.skipif(module_name() != RTX, reason="about TensorRT-RTX")


def spec_for(folder: Path, precision: str = "fp32", config: TensorRTBuilderConfig | None = None) -> BuildSpec:
    return BuildSpec(
        directory=folder,
        batch=BatchRange(1, 2, 4),
        image_size=8,
        plan=PrecisionPlan({"unet.stem": precision}),
        checkpoint=folder / "unused.safetensors",
        builder_config=config,
    )


def built(folder: Path, precision: str = "fp32", config: TensorRTBuilderConfig | None = None) -> EngineFile:
    onnx_path = write_graph(folder / f"{precision}.onnx", precision)
    return tensorrt.build(onnx_path, spec_for(folder, precision, config))
