"""Checkpoint -> ONNX: the one graph that every runtime's engine is made from."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import onnx
import torch

from lnlattennet.errors import ExportError
from lnlattennet.export.backends.base import BatchRange
from lnlattennet.kernels.reference import local_nonlocal_attention
from lnlattennet.model.checkpoint import Checkpoint
from lnlattennet.model.names import INPUT_NAME, OUTPUT_NAMES

OPSET = 18
"""Chosen for the oldest runtimes that are supported; the network needs nothing newer."""

_FUSED_ATTENTION = torch.ops.lnlattennet.local_nonlocal_attention.default


def export_onnx(checkpoint: Checkpoint, path: Path, batch: BatchRange) -> None:
    """Write the checkpoint's network as ONNX with a dynamic batch, checked and with its metadata.

    Input ``image`` [batch, 3, S, S] float32; outputs ``logits``, ``region_weights``, ``region_affinity``.

    Raises:
        ExportError: torch could not export the network, or the file fails onnx.checker.
    """
    model = _traced(checkpoint, batch)
    _fix_shapes(model, checkpoint)
    for key, value in _metadata(checkpoint).items():
        model.metadata_props.add(key=key, value=value)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the exported ONNX model is not valid: {error}") from error
    onnx.save_model(model, str(path))


def _traced(checkpoint: Checkpoint, batch: BatchRange) -> onnx.ModelProto:
    size = checkpoint.info.config.image_size
    # torch specialises dimensions of 0 and 1, so the example has two images whatever the range is.
    example = torch.zeros(2, 3, size, size)
    shapes = ({0: torch.export.Dim("batch", min=1, max=max(2, batch.maximum))},)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # The exporter's own deprecations are torch's to mend; they say nothing about this network.
        warnings.simplefilter("ignore")
        traced = torch.export.export(checkpoint.network(), (example,), dynamic_shapes=shapes)
        program = torch.onnx.export(
            # Runtimes know standard operators only: the fused one is written out.
            traced.run_decompositions({_FUSED_ATTENTION: local_nonlocal_attention}),
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


def _fix_shapes(model: onnx.ModelProto, checkpoint: Checkpoint) -> None:
    """Declare the outputs' shapes [batch, ...] and drop what only tells how the graph was traced."""
    config = checkpoint.info.config
    shapes = {
        "logits": [config.classes],
        "region_weights": [config.regions],
        "region_affinity": [config.regions, config.regions],
    }
    for output in model.graph.output:
        onnx_type = onnx.helper.make_tensor_type_proto(
            onnx.TensorProto.FLOAT, ["batch", *shapes[output.name]]
        )
        output.type.CopyFrom(onnx_type)
    for node in model.graph.node:
        # Stack traces of the exporting machine (with its paths) do not belong in a published file.
        del node.metadata_props[:]
        node.doc_string = ""


def _metadata(checkpoint: Checkpoint) -> dict[str, str]:
    info = checkpoint.info
    return {
        "class_names": json.dumps(list(info.class_names)),
        "preprocessing": json.dumps(info.preprocessing.to_dict()),
        "network": json.dumps(info.config.to_dict()),
    }
