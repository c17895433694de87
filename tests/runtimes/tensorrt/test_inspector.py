"""The count of layers by precision."""

from __future__ import annotations

import json
from pathlib import Path

from lnlattennet.runtimes.tensorrt import _backend as tensorrt
from lnlattennet.runtimes.tensorrt._inspector import count_inspected
from tests.runtimes.tensorrt.engines import spec_for
from tests.runtimes.typed_graphs import write_graph


def test_a_graph_that_is_quantized_by_half_is_not_counted_as_quantized(tmp_path: Path) -> None:
    """Only the weights are int8, so the convolutions would run in float32: no silent success."""
    import onnx

    path = write_graph(tmp_path / "half.onnx", "int8", convolutions=1)
    model = onnx.load(path)
    for node in model.graph.node:
        if node.op_type == "Conv":
            node.input[0] = "Cast0"
    onnx.save_model(model, str(path))
    engine = tensorrt.build(path, spec_for(tmp_path, "int8"))
    assert engine.layers == {"fp32": 1}


def test_the_inspectors_answer_is_counted_by_precision() -> None:
    """One layer each as TensorRT 10 and TensorRT 11 write them, and what is neither conv nor product."""
    int8 = "Thirty-two wide channel vectorized row major Int8 format."
    layers = [
        {"LayerType": "CaskConvolution", "Inputs": [{"Format/Datatype": int8}], "Weights": {"Type": "Int8"}},
        {"LayerType": "gemm", "Inputs": [{"Format": "kLINEAR", "DataType": "Half"}]},
        {"LayerType": "MatrixMultiply", "Inputs": [{"Format/Datatype": "Row major linear FP32"}]},
        {"LayerType": "conv", "Inputs": [{"DataType": "BFloat16"}]},
        {
            "LayerType": "CaskConvolution",
            "Inputs": [{"Format/Datatype": "N/A due to dynamic shapes"}],
            "Weights": {"Type": "Float"},
        },
        {"LayerType": "Reformat", "Inputs": [{"Format/Datatype": int8}]},
        "a layer of an engine without details",
    ]
    assert count_inspected(json.dumps({"Layers": layers})) == {"int8": 1, "fp16": 1, "fp32": 2, "bf16": 1}
