#!/usr/bin/env bash
# OpenCV 5's cv2.dnn pads the wrong side for auto_pad=SAME_UPPER of an ONNX file where one side needs a pixel more.
#
# Seen with: opencv-python-headless 5.0.0.93 beside 4.14.0.94, onnx 1.23.2, numpy 2.3.5, Python 3.11, Linux x86-64.
# Behavior:  by ONNX's definition an odd pixel of padding goes to the end with SAME_UPPER, to the beginning with
#            SAME_LOWER. OpenCV 5 puts it to the beginning with both, OpenCV 4.14 to the end with both: convolutions and
#            maximum poolings see the image shifted by a pixel. With an odd image (no odd padding) and with pads written
#            as numbers all is right. No warning, no error. ONNX Runtime 1.32.0 and OpenVINO 2026.4.1 are right with
#            all these files.
# Output:    OpenCV 4.14.0
#            SAME_UPPER, 8 x 8: Conv off by 0.0, MaxPool off by 0.0
#            SAME_LOWER, 8 x 8: Conv off by 20.1, MaxPool off by 1.7
#            OpenCV 5.0.0
#            SAME_UPPER, 8 x 8: Conv off by 20.1, MaxPool off by 1.7
#            SAME_LOWER, 8 x 8: Conv off by 0.0, MaxPool off by 0.0
#            (both) SAME_UPPER, 9 x 9: Conv off by 0.0, MaxPool off by 0.0
#            (both) pads in numbers, 8 x 8: Conv off by 0.0, MaxPool off by 0.0
# Bites:     networks of TensorFlow and Keras (MobileNet, EfficientNet): padding="same" with a stride of 2 on even
#            images is SAME_UPPER wherever tf2onnx does not know the size. With OpenCV 4.14 the same file was right.
# Way out:   pads in numbers: convert with the image's size given, or replace auto_pad in the file.
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

KERNEL, STRIDE, INPUTS, OUTPUTS = 3, 2, 4, 8
WEIGHTS = np.random.default_rng(0).standard_normal((OUTPUTS, INPUTS, KERNEL, KERNEL)).astype(np.float32)
CASES = ("SAME_UPPER", 8), ("SAME_LOWER", 8), ("SAME_UPPER", 9), ("pads in numbers", 8)


def padding(place, side):
    """Return the pixels before and after each axis, by ONNX's definition."""
    total = (-(-side // STRIDE) - 1) * STRIDE + KERNEL - side
    few, many = total // 2, total - total // 2
    return (many, few) if place == "SAME_LOWER" else (few, many)


def model(operator, place, side):
    before, after = padding(place, side)
    pads = {"pads": [before, before, after, after]} if place == "pads in numbers" else {"auto_pad": place}
    given = ["x", "w"] if operator == "Conv" else ["x"]
    node = helper.make_node(operator, given, ["y"], kernel_shape=[KERNEL] * 2, strides=[STRIDE] * 2, **pads)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, size, size])
        for name, channels, size in (
            ("x", INPUTS, side),
            ("y", OUTPUTS if operator == "Conv" else INPUTS, -(-side // STRIDE)),
        )
    ]
    weights = [numpy_helper.from_array(WEIGHTS, "w")] if operator == "Conv" else []
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], weights)
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(file, full_check=True)
    return file.SerializeToString()


def wanted(operator, place, side, image):
    """Return the answer in float64: every window of the padded image, weighted or its largest value."""
    edge, empty = padding(place, side), 0 if operator == "Conv" else -np.inf
    padded = np.pad(image.astype(float), ((0, 0), (0, 0), edge, edge), constant_values=empty)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (KERNEL, KERNEL), (2, 3))[:, :, ::STRIDE, ::STRIDE]
    return np.einsum("bcijkl,ockl->boij", windows, WEIGHTS) if operator == "Conv" else windows.max((-2, -1))


def error(operator, place, side):
    image = np.random.default_rng(1).standard_normal((1, INPUTS, side, side)).astype(np.float32)
    network = cv2.dnn.readNetFromONNX(np.frombuffer(model(operator, place, side), np.uint8))
    network.setInput(image, "x")
    return float(np.abs(network.forward() - wanted(operator, place, side, image)).max())


found = {case: [error(operator, *case) for operator in ("Conv", "MaxPool")] for case in CASES}
print(f"OpenCV {cv2.__version__}")
for (place, side), (convolution, pooling) in found.items():
    print(f"{place}, {side} x {side}: Conv off by {convolution:.1f}, MaxPool off by {pooling:.1f}")
wrong = ("SAME_UPPER" if cv2.__version__.startswith("5") else "SAME_LOWER"), 8
right = [off for case, offs in found.items() if case != wrong for off in offs]
sys.exit(not (min(found[wrong]) > 1 > 1e-3 > max(right)))
PYTHON
for version in 4.14.0.94 5.0.0.93; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet --disable-pip-version-check \
    "opencv-python-headless==$version" 'onnx==1.23.2' 'numpy==2.3.5' 2>/dev/null
  OPENCV_LOG_LEVEL=ERROR "$folder/$version/bin/python" "$folder/run.py"
done
