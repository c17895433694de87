"""Triton model configurations, read and written as protobuf (never as text templates)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lnlattennet.bundle._manifest import EngineRecord, Manifest
from lnlattennet.errors import require
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.model._provenance import public_license, public_provenance
from lnlattennet.runtimes._registry import backend_named
from lnlattennet.serving.triton._model_names import EVERY, PUBLIC_MODELS

CONFIG_NAME = "config.pbtxt"

TENSORRT = "tensorrt_plan"
"""Platform of an engine of TensorRT in the server's own backend."""

_MOST_SMALL_BATCHES = 8
"""The time to launch kernels, which a graph saves, is a large share of the time of small batches only."""


def runs_natively(engine: EngineRecord, server_backends: Collection[str]) -> bool:
    """Whether one of the server's own backends runs this engine; none reads a plan of TensorRT-RTX."""
    package = backend_named(engine.backend).INFO.triton_package(engine.requires.packages)
    return package is not None and engine.backend in server_backends


def read_config(path: Path) -> Any:
    """Parse a ``config.pbtxt`` into a ``ModelConfig`` message."""
    messages = require("tritonclient.grpc.model_config_pb2", "triton")
    text_format = require("google.protobuf.text_format", "triton")
    return text_format.Parse(path.read_text(encoding="utf-8"), messages.ModelConfig())


def write_config(config: Any, path: Path) -> None:
    """Write a ``ModelConfig`` message as a ``config.pbtxt``."""
    text_format = require("google.protobuf.text_format", "triton")
    path.write_text(text_format.MessageToString(config, as_utf8=True), encoding="utf-8")


def fit_config(config: Any, manifest: Manifest, version: int) -> None:
    """Set the sizes, the batch limit and the facts for clients to those of a bundle and its version."""
    config.max_batch_size = manifest.engine().batch[2]
    shapes = _tensor_shapes(manifest)
    for tensor in (*config.input, *config.output):
        # Two models call their input `image`: the encoded image [1] keeps its shape.
        name = tensor.name.removeprefix(EVERY)
        if tensor.dims != [1] and name in shapes:
            faces = [-1] if tensor.dims[0] == -1 else []
            tensor.dims[:] = faces + shapes[name]
    for warmup in config.model_warmup:
        for name, tensor in warmup.inputs.items():
            tensor.dims[:] = shapes[name]
    for graph in config.optimization.cuda.graph_spec:
        for name, shape in graph.input.items():
            shape.dim[:] = shapes[name]
    facts = _facts_for_clients(manifest)
    if config.name in PUBLIC_MODELS:
        config.parameters["version"].string_value = str(version)
    else:
        facts = {name: fact for name, fact in facts.items() if name in config.parameters}
    if "class_names" in config.parameters:
        for name, fact in facts.items():
            config.parameters[name].string_value = json.dumps(fact, ensure_ascii=False)


def label_files(config: Any) -> set[str]:
    """Return the names of the files, in the model's folder, that hold the class names line by line."""
    return {tensor.label_filename for tensor in config.output if tensor.label_filename}


def make_native(config: Any, engine: EngineRecord) -> None:
    """Set the engine model's configuration to Triton's own backend for this engine."""
    info = backend_named(engine.backend).INFO
    config.platform, config.default_model_filename = info.triton_platform, info.triton_file
    config.backend = engine.backend
    group = config.instance_group[0]
    group.kind = group.KIND_CPU if engine.requires.device == "cpu" else group.KIND_GPU
    if config.platform == TENSORRT:
        _capture_graphs(config, engine.batch[2])


def _capture_graphs(config: Any, largest: int) -> None:
    """Let TensorRT's backend run the usual batches as CUDA graphs, which it captures when it loads.

    Without a list it would capture, beside dynamic_batching, the batches 1 and max_batch_size only. Batches
    that are not in the list run without a graph.
    """
    config.optimization.cuda.graphs = True
    for size in sorted({*range(1, min(largest, _MOST_SMALL_BATCHES) + 1), largest}):
        graph = config.optimization.cuda.graph_spec.add(batch_size=size)
        graph.input[INPUT_NAME].dim[:] = config.input[0].dims


def _facts_for_clients(manifest: Manifest) -> dict[str, Any]:
    return {
        "class_names": manifest.class_names,
        "grid": manifest.grid,
        "model_hash": manifest.model_hash(manifest.selected),
        "preprocessing": manifest.preprocessing.to_dict(),
        "preprocessing_id": manifest.preprocessing.id,
        "provenance": public_provenance(manifest.provenance),
        "license": public_license(manifest.license, manifest.provenance),
    }


def _tensor_shapes(manifest: Manifest) -> Mapping[str, list[int]]:
    size, classes, regions = manifest.preprocessing.size, len(manifest.class_names), manifest.grid**2
    return {
        "image": [3, size, size],
        "face": [3, size, size],
        "logits": [classes],
        "probabilities": [classes],
        "smoothed_probabilities": [classes],
        "region_weights": [regions],
        "region_affinity": [regions, regions],
    }
