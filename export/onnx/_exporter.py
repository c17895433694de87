"""Checkpoint -> ONNX: the one graph that every runtime's engine is made from."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import onnx
import torch
from onnx import ModelProto

from lnlattennet import __version__
from lnlattennet.errors import ExportError
from lnlattennet.export.onnx._attention import DOMAIN, attention_function, attention_node
from lnlattennet.export.onnx._naming import check_model, name_after_blocks, traced_blocks
from lnlattennet.export.onnx._portable import BATCH, note_shapes, separate_outputs
from lnlattennet.model._checkpoint import Checkpoint
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._io_spec import INPUT_NAME, OUTPUT_NAMES
from lnlattennet.runtimes._base import BatchRange

OPSET = 18
"""The oldest opset that torch writes natively; every supported runtime reads it."""

IR_VERSION = 8
"""The first with model-local functions; ONNX Runtime has read it since 1.10."""

_FUSED_ATTENTION = torch.ops.lnlattennet.local_nonlocal_attention.default


def export_onnx(checkpoint: Checkpoint, path: Path, batch: BatchRange) -> None:
    """Write the checkpoint's network as ONNX with a dynamic batch, checked and with its metadata.

    Input ``image`` [batch, 3, S, S] float32; outputs ``logits``, ``region_weights``, ``region_affinity``. The
    head's fused attention is one node of the domain ``lnlattennet`` with a model-local function of standard
    operators as its body; ``_inline.inlined`` gives the form without it. Every node is called
    ``BLOCK/OPERATOR_INDEX`` after the named blocks of the network, and its output after the node.

    Raises:
        ExportError: torch could not export the network, or the file fails onnx.checker.
    """
    info = checkpoint.info
    model = _traced(checkpoint, batch)
    separate_outputs(model.graph)
    name_after_blocks(model.graph, traced_blocks(model.graph))
    _declare(model, info.config)
    model.functions.append(attention_function(info.config, OPSET))
    note_shapes(model)
    metadata = {
        "class_names": json.dumps(list(info.class_names)),
        "preprocessing": json.dumps(info.preprocessing.to_dict()),
        "network": json.dumps(info.config.to_dict()),
        "license": info.license,
    }
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    check_model(model)
    onnx.save_model(model, str(path))


def _traced(checkpoint: Checkpoint, batch: BatchRange) -> ModelProto:
    size = checkpoint.info.config.image_size
    # torch specializes dimensions of 0 and 1, so the example has two images whatever the range is.
    example = torch.zeros(2, 3, size, size)
    shapes = ({0: torch.export.Dim(BATCH, min=1, max=max(2, batch.maximum))},)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Deprecations inside torch's exporter say nothing about this network.
        warnings.simplefilter("ignore")
        traced = torch.export.export(checkpoint.network(), (example,), dynamic_shapes=shapes)
        program = torch.onnx.export(
            traced.run_decompositions({_FUSED_ATTENTION: attention_node}),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=list(OUTPUT_NAMES),
            dynamic_shapes=shapes,
        )
    if program is None:
        raise ExportError("torch.onnx.export gave no program")
    return program.model_proto


def _declare(model: ModelProto, config: NetworkConfig) -> None:
    """Set versions, names and the outputs' shapes; drop the traces of the export itself."""
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = DOMAIN, __version__
    graph = model.graph
    graph.name = "LNLAttenNet"
    shapes: dict[str, list[int | str]] = {
        "logits": [BATCH, config.classes],
        "region_weights": [BATCH, config.regions],
        "region_affinity": [BATCH, config.regions, config.regions],
    }
    for output in graph.output:
        output.type.CopyFrom(onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, shapes[output.name]))
    # Stack traces of the exporting machine (with its paths) do not belong in a published file.
    for item in [model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer]:
        del item.metadata_props[:]
        item.doc_string = ""
