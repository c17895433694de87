#!/usr/bin/env bash
# OpenCV: cv2.dnn multiplies a batch by one constant matrix for each head wrongly; only a batch of one is right.
#
# Seen with: opencv-python-headless 4.14.0.94 and 5.0.0.93, onnx 1.23.2, numpy 2.3.5, Python 3.11, Linux x86-64.
# Behavior:  an ONNX file with one MatMul, [B, heads, 1, inputs] times a constant [heads, inputs, outputs]. For B = 1 the
#            answer is right. For B above 1 every sample is wrong, the first one too: in a batch of 2, head 2 is
#            multiplied by matrix 1. No warning, no error. It is right where the matrices are a second input, and where
#            the heads come before the batch. ONNX Runtime 1.32.0 and OpenVINO 2026.4.1 are right with all these files.
# Output:    (both) constant: batch 1 off by 0.0, batch 2 off by 15.9, batch 8 off by 28.6
#                   second input: batch 1 off by 0.0, batch 2 off by 0.0, batch 8 off by 0.0
#                   heads first: batch 1 off by 0.0, batch 2 off by 0.0, batch 8 off by 0.0
# Bites:     layers with weights of their own for each head, expert, region or group, written as x @ w in torch. A test
#            with one image passes, and a batch in production is wrong.
# Way out:   one sample at a time, or torch.bmm(x.transpose(0, 1), w).transpose(0, 1) with x [B, heads, inputs].
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/run.py" <<'PYTHON'
import sys

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEADS, INPUTS, OUTPUTS = 4, 32, 16
WEIGHTS = np.random.default_rng(0).standard_normal((HEADS, INPUTS, OUTPUTS)).astype(np.float32)


def tensor(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def model(batch, form):
    """Return an ONNX file that multiplies each head's row of every sample by the head's matrix."""
    given, nodes = [tensor("x", [batch, HEADS, 1, INPUTS])], [helper.make_node("MatMul", ["x", "w"], ["y"])]
    if form == "second input":
        given.append(tensor("w", WEIGHTS.shape))
    if form == "heads first":
        nodes = [
            helper.make_node("Squeeze", ["x", "axis"], ["rows"]),
            helper.make_node("Transpose", ["rows"], ["heads"], perm=[1, 0, 2]),
            helper.make_node("MatMul", ["heads", "w"], ["products"]),
            helper.make_node("Transpose", ["products"], ["back"], perm=[1, 0, 2]),
            helper.make_node("Unsqueeze", ["back", "axis"], ["y"]),
        ]
    constants = [] if form == "second input" else [numpy_helper.from_array(WEIGHTS, "w")]
    if form == "heads first":
        constants.append(numpy_helper.from_array(np.array([2], np.int64), "axis"))
    graph = helper.make_graph(nodes, "g", given, [tensor("y", [batch, HEADS, 1, OUTPUTS])], constants)
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(file, full_check=True)
    return file.SerializeToString()


def error(batch, form):
    x = np.random.default_rng(1).standard_normal((batch, HEADS, 1, INPUTS)).astype(np.float32)
    network = cv2.dnn.readNetFromONNX(np.frombuffer(model(batch, form), np.uint8))
    network.setInput(x, "x")
    if form == "second input":
        network.setInput(WEIGHTS, "w")
    wanted = np.einsum("bkri,kio->bkro", x.astype(float), WEIGHTS.astype(float))
    return float(np.abs(network.forward().reshape(wanted.shape) - wanted).max())


FORMS = "constant", "second input", "heads first"
found = {form: [error(batch, form) for batch in (1, 2, 8)] for form in FORMS}
print(f"OpenCV {cv2.__version__}")
for form, (one, two, eight) in found.items():
    print(f"{form}: batch 1 off by {one:.1f}, batch 2 off by {two:.1f}, batch 8 off by {eight:.1f}")
single, *batches = found["constant"]
sys.exit(not (min(batches) > 1 > 1e-3 > max(single, *found["second input"], *found["heads first"])))
PYTHON
for version in 4.14.0.94 5.0.0.93; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet --disable-pip-version-check \
    "opencv-python-headless==$version" 'onnx==1.23.2' 'numpy==2.3.5' 2>/dev/null
  OPENCV_LOG_LEVEL=ERROR "$folder/$version/bin/python" "$folder/run.py"
done
