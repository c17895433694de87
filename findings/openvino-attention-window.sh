#!/usr/bin/env bash
# OpenVINO reads ONNX's Attention with a window and attends to all keys, silently.
#
# Seen with: openvino 2026.4.1, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.3.5, Python 3.11, Linux x86-64.
# Behavior:  Attention of opset 25 has left_window_size and right_window_size: how many keys before and after its own a
#            query sees. OpenVINO's answer is, to the bit, that without a window. No warning, no error. ONNX Runtime and
#            onnx's own evaluator (tried apart) are right, and the same window as a mask (attn_mask) is right everywhere.
# Output:    no window: off by 0.00 in ONNX Runtime, 0.00 in OpenVINO
#            causal: off by 0.00 in ONNX Runtime, 0.00 in OpenVINO
#            2 before, 1 after: off by 0.00 in ONNX Runtime, 1.85 in OpenVINO, the same as no window: True
#            2 before, causal: off by 0.00 in ONNX Runtime, 2.00 in OpenVINO, the same as causal: True
#            2 before, 1 after, as a mask: off by 0.00 in ONNX Runtime, 0.00 in OpenVINO
# Bites:     networks with local attention over frames, tokens or patches. A test on sequences no longer than the window
#            passes, and longer ones get plausible answers.
# Why:       probably since it takes the node for Attention of opset 24, the newest it knows, and asks for no others of
#            its attributes.
# Way out:   the window as a mask.
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    'openvino==2026.4.1' 'onnxruntime==1.32.0' 'onnx==1.23.2' 'numpy==2.3.5' 2>/dev/null
cd "$folder"
cat > run.py <<'PYTHON'
import sys

sys.modules["openvino_telemetry"] = None  # It would report that the package was imported.
import numpy as np
import onnx
import onnxruntime as ort
import openvino
from onnx import TensorProto, helper, numpy_helper

HEADS, LENGTH, WIDTH = 2, 12, 8
QUERY, KEY, VALUE = np.random.default_rng(0).standard_normal((3, 1, HEADS, LENGTH, WIDTH)).astype(np.float32)
BEFORE, AFTER = 2, 1


def seen(before, after):
    """Return which keys (columns) each query (row) sees; None: all on that side."""
    query, key = np.indices((LENGTH, LENGTH))
    first = -LENGTH if before is None else -before
    last = LENGTH if after is None else after
    return (first <= key - query) & (key - query <= last)


def wanted(keys):
    """Return the attention over the keys that are seen, in float64."""
    scores = QUERY.astype(float) @ KEY.astype(float).swapaxes(2, 3) / np.sqrt(WIDTH)
    weights = np.where(keys, np.exp(scores), 0)
    return weights / weights.sum(-1, keepdims=True) @ VALUE


def model(mask=None, **settings):
    names = ["q", "k", "v"] + ["mask"] * (mask is not None)
    node = helper.make_node("Attention", names, ["y"], **settings)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, QUERY.shape) for name in (*"qkv", "y")]
    masks = [] if mask is None else [numpy_helper.from_array(mask, "mask")]
    graph = helper.make_graph([node], "g", ends[:3], ends[3:], masks)
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=11)
    onnx.checker.check_model(file, full_check=True)
    return file.SerializeToString()


def answers(file):
    """Return the answers of ONNX Runtime and of OpenVINO."""
    given = {"q": QUERY, "k": KEY, "v": VALUE}
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    compiled = openvino.compile_model(
        openvino.Core().read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return session.run(None, given)[0], compiled(given)[0]


CASES = {
    "no window": (model(), seen(None, None)),
    "causal": (model(is_causal=1), seen(None, 0)),
    "2 before, 1 after": (model(left_window_size=BEFORE, right_window_size=AFTER), seen(BEFORE, AFTER)),
    "2 before, causal": (model(left_window_size=BEFORE, is_causal=1), seen(BEFORE, 0)),
    "2 before, 1 after, as a mask": (model(mask=seen(BEFORE, AFTER)), seen(BEFORE, AFTER)),
}
PLAIN = {"2 before, 1 after": "no window", "2 before, causal": "causal"}
found = {name: answers(file) for name, (file, _) in CASES.items()}
expected = True
for name, pair in found.items():
    elsewhere, off = (float(np.abs(answer - wanted(CASES[name][1])).max()) for answer in pair)
    line = f"{name}: off by {elsewhere:.2f} in ONNX Runtime, {off:.2f} in OpenVINO"
    expected &= elsewhere < 1e-4 and (off > 0.1 if name in PLAIN else off < 1e-4)
    if name in PLAIN:
        same = np.array_equal(pair[1], found[PLAIN[name]][1])
        line += f", the same as {PLAIN[name]}: {same}"
        expected &= same
    print(line)
sys.exit(not expected)
PYTHON
venv/bin/python run.py
