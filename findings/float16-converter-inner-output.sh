#!/usr/bin/env bash
# onnxconverter-common: with keep_io_types, a model whose output is also read inside becomes one that does not load.
#
# Seen with: onnxconverter-common 1.16.0, onnx 1.23.2, onnxruntime 1.32.0, Python 3.11, x86-64.
# Behavior:  convert_float_to_float16(keep_io_types=True) raises no error, and onnx.checker's default check passes; ONNX
#            Runtime refuses the file: the inner node gets the output in float32 beside inputs in float16. The same graph
#            whose output nobody reads (a Reshape to the same shape before it) converts and runs.
# Output:    output read inside: does not load: Fail; output with a node of its own: loads, same answers
# Bites:     whoever exports attention weights, or any inner tensor, as an output next to the answer and then halves the
#            file. Simplifiers (onnxsim, onnxslim) remove an Identity that was put there as protection.
# Way out:   give every output a node of its own that simplifiers keep, or convert before simplifying.
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    'onnxconverter-common==1.16.0' 'onnx==1.23.2' 'onnxruntime==1.32.0'
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxconverter_common import float16


def model(own_node: bool) -> onnx.ModelProto:
    """Weights = softmax(x), an output, and mixed = weights @ table, which reads them."""
    table = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3), "table")
    shape = numpy_helper.from_array(np.array([-1, 4], np.int64), "shape")
    inner = "inner" if own_node else "weights"
    nodes = [
        helper.make_node("Softmax", ["x"], [inner], axis=-1),
        helper.make_node("MatMul", [inner, "table"], ["mixed"]),
    ]
    if own_node:
        nodes.append(helper.make_node("Reshape", [inner, "shape"], ["weights"]))
    widths = {"x": 4, "mixed": 3, "weights": 4}
    tensors = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", w]) for n, w in widths.items()]
    graph = helper.make_graph(nodes, "g", tensors[:1], tensors[1:], [table] + [shape] * own_node)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def outcome(own_node: bool) -> str:
    whole = model(own_node)
    half = float16.convert_float_to_float16(whole, keep_io_types=True)
    onnx.checker.check_model(half)
    try:
        session = ort.InferenceSession(half.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception as error:
        return f"does not load: {type(error).__name__}"
    feed = {"x": np.array([[0.0, 1, 2, 3]], np.float32)}
    wanted = ort.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feed)
    difference = max(float(np.abs(a - b).max()) for a, b in zip(session.run(None, feed), wanted))
    return "loads, same answers" if difference < 1e-2 else f"loads, answers differ by {difference}"


read, own = outcome(False), outcome(True)
print(f"output read inside: {read}; output with a node of its own: {own}")
sys.exit(not (read.startswith("does not load") and own == "loads, same answers"))
PYTHON
