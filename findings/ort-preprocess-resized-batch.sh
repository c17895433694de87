#!/usr/bin/env bash
# ONNX Runtime: the preprocessing for quantization takes the batch behind an upsampling for another axis.
#
# Seen with: onnxruntime 1.32.0, onnx 1.23.2, Python 3.11, x86-64.
# Behavior:  a Resize by scales 1, 1, 2, 2 gives a first axis of floor(1.0*batch) in the symbolic shape inference. Where its
#            result meets the features that it was made from (a U-Net's skip), batch and floor(1.0*batch) do not match, and
#            quant_pre_process ends with "Incomplete symbolic shape inference". With auto_merge it works. The failure
#            leaves a file sym_shape_infer_temp.onnx in the current folder.
# Output:    plain: Exception: Incomplete symbolic shape inference; auto_merge: works; left in the current folder:
#            ['sym_shape_infer_temp.onnx']
# Bites:     whoever quantizes a U-Net or a feature pyramid with a batch of any size; the usual advice, "run the preprocessing
#            first", ends in an error that names no node.
# Way out:   --auto_merge, or a fixed batch.
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'onnx==1.23.2' 'onnxruntime==1.32.0' 'sympy==1.14.0'
mkdir "$folder/work"
cd "$folder/work"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization.shape_inference import quant_pre_process

scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
nodes = [
    helper.make_node("AveragePool", ["x"], ["coarse"], kernel_shape=[2, 2], strides=[2, 2]),
    helper.make_node("Resize", ["coarse", "", "scales"], ["fine"], mode="nearest"),
    helper.make_node("Concat", ["fine", "x"], ["joined"], axis=1),
    helper.make_node("Relu", ["joined"], ["y"]),
]
ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", c, 8, 8]) for n, c in (("x", 3), ("y", 6))]
model = helper.make_model(
    helper.make_graph(nodes, "g", ends[:1], ends[1:], [scales]), opset_imports=[helper.make_opsetid("", 18)], ir_version=8
)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "../model.onnx")


def outcome(auto_merge: bool) -> str:
    try:
        quant_pre_process("../model.onnx", "../out.onnx", auto_merge=auto_merge)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "works"


plain, merged = outcome(False), outcome(True)
left = sorted(path.name for path in Path().iterdir())
print(f"plain: {plain}; auto_merge: {merged}; left in the current folder: {left}")
sys.exit(not ("Incomplete symbolic shape inference" in plain and merged == "works"))
PYTHON
