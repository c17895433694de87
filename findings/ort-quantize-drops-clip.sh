#!/usr/bin/env bash
# ONNX Runtime: quantize_static removes a Clip whose limits leave out 0, and the values then go to 0.
#
# Seen with: onnxruntime 1.32.0, and alike with 1.22.1; onnx 1.23.2, numpy 2.3.5, Python 3.11, Linux x86-64.
# Behavior:  a convolution followed by Clip, quantized with the defaults (int8 with zero points). The quantizer takes Clip
#            out, since the 8-bit range of its output ends where the limits do. But a range is widened to hold 0.0, so
#            that the lower limit 1 becomes 0: what was below 1 and answered 1 answers 0. The same with an upper limit
#            below 0, and with the format QOperator. No warning, no error. Limits that hold 0 between them, such as those
#            of ReLU6, are right.
# Output:    limits 1 and 4: float 1.00 to 4.00, int8 0.00 to 4.00
#            limits -4 and -1: float -4.00 to -1.00, int8 -4.00 to 0.00
#            limits 1 and 4, QOperator: float 1.00 to 4.00, int8 0.00 to 4.00
#            limits 1 and 4, then 1 / x: float 0.25 to 1.00, int8 0.25 to inf
#            limits 0 and 4: float 0.00 to 4.00, int8 0.00 to 4.00
#            limits 1 and 4, Clip kept: float 1.00 to 4.00, int8 1.00 to 4.00
#            limits 1 and 4, symmetric: float 1.00 to 4.00, int8 1.01 to 4.00
# Bites:     clamp(min=...) before a division or a logarithm, as around a norm, a scale, a temperature or a variance: the
#            float model cannot divide by 0, and the quantized one does.
# Way out:   extra_options={"QDQKeepRemovableActivations": True}, or symmetric activations (ActivationSymmetric); with
#            QOperator the latter.
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    'onnxruntime==1.32.0' 'onnx==1.23.2' 'numpy==2.3.5' 2>/dev/null
cd "$folder"
cat > run.py <<'PYTHON'
import logging
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

logging.disable(logging.WARNING)
np.seterr(divide="ignore")
generator = np.random.default_rng(0)
IMAGES = generator.standard_normal((32, 4, 8, 8)).astype(np.float32)
WEIGHTS = generator.standard_normal((8, 4, 1, 1)).astype(np.float32)


class Reader(CalibrationDataReader):
    """The images, one at a time."""

    def __init__(self):
        self.images = iter(IMAGES)

    def get_next(self):
        image = next(self.images, None)
        return None if image is None else {"x": image[None]}


def write(low, high, divide):
    """Write the float model to float.onnx."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Clip", ["c", "low", "high"], ["limited" if divide else "y"]),
    ]
    if divide:
        nodes.append(helper.make_node("Reciprocal", ["limited"], ["y"]))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, 8, 8])
        for name, channels in (("x", 4), ("y", 8))
    ]
    constants = {"w": WEIGHTS, "low": np.float32(low), "high": np.float32(high)}
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "float.onnx")


def answered(path):
    """Return the smallest and the largest value that the file answers for the images of the calibration."""
    values = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": IMAGES})[0]
    return float(values.min()), float(values.max())


def ranges(low, high, divide=False, form=QuantFormat.QDQ, **options):
    write(low, high, divide)
    quantize_static("float.onnx", "int8.onnx", Reader(), quant_format=form, extra_options=options)
    return answered("float.onnx"), answered("int8.onnx")


WRONG = {
    "limits 1 and 4": ranges(1, 4),
    "limits -4 and -1": ranges(-4, -1),
    "limits 1 and 4, QOperator": ranges(1, 4, form=QuantFormat.QOperator),
    "limits 1 and 4, then 1 / x": ranges(1, 4, divide=True),
}
RIGHT = {
    "limits 0 and 4": ranges(0, 4),
    "limits 1 and 4, Clip kept": ranges(1, 4, QDQKeepRemovableActivations=True),
    "limits 1 and 4, symmetric": ranges(1, 4, ActivationSymmetric=True),
}
for name, ((least, largest), (least8, largest8)) in (WRONG | RIGHT).items():
    print(f"{name}: float {least:.2f} to {largest:.2f}, int8 {least8:.2f} to {largest8:.2f}")
agree = {name: np.allclose(*pair, atol=0.05) for name, pair in (WRONG | RIGHT).items()}
sys.exit(any(agree[name] for name in WRONG) or not all(agree[name] for name in RIGHT))
PYTHON
venv/bin/python run.py
