#!/usr/bin/env bash
# OpenVINO's CPU plugin adds a constant to a reduced batch in the wrong places, silently.
#
# Seen with: openvino 2026.4.1, and alike with 2026.3.0, 2026.1.0, 2025.4.1, 2025.2.0 and 2024.6.0; numpy 2.2.6,
#            Python 3.11, Linux x86-64 with AVX-512, one float32 graph of two operations.
# Behavior:  a [B, C, N] tensor is reduced over its last axis without keeping it (sum, mean and maximum alike), and a
#            constant [C] or [1, C] is added or multiplied. For B above 1 the answer is wrong by as much as the constant's
#            values differ; for B = 1 it is right, and so it is where the axis is kept and squeezed afterwards, where the
#            constant has all B rows, or where another axis is reduced. No warning, no error. For B = 1 it was reported in
#            2024 (issue 23616) and mended for that alone (pull request 23970 of openvinotoolkit/openvino).
# Output:    2 x 16 x 64 over the last axis: off by 1.7
#            the same, the axis kept and squeezed: off by 0.0
#            1 x 16 x 64: off by 0.0
# Bites:     scores of tokens, regions or channels that are a weighted sum plus a bias: (x * w).sum(-1) + b in torch
#            exports to just this. A test with one sample passes, and a batch in production is wrong.
# Way out:   (x * w).sum(-1, keepdim=True).squeeze(-1) + b, or x @ w.
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.2.6 2>/dev/null
cd "$folder"
cat > run.py <<'PYTHON'
import sys

sys.modules["openvino_telemetry"] = None  # It would report that the package was imported.
import numpy as np
import openvino
from openvino import opset13 as ops


def error(batch, keep):
    generator = np.random.default_rng(0)
    values = generator.standard_normal((batch, 16, 64)).astype(np.float32)
    bias = generator.standard_normal(16).astype(np.float32)
    given, axis = ops.parameter(values.shape, np.float32), ops.constant([2])
    total = ops.reduce_sum(given, axis, keep_dims=keep)
    added = ops.add(ops.squeeze(total, axis) if keep else total, ops.constant(bias))
    compiled = openvino.compile_model(
        openvino.Model([added], [given], "m"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return np.abs(compiled(values)[0] - (values.sum(axis=2) + bias)).max()


errors = error(2, keep=False), error(2, keep=True), error(1, keep=False)
for what, off in zip(
    ("2 x 16 x 64 over the last axis", "the same, the axis kept and squeezed", "1 x 16 x 64"), errors
):
    print(f"{what}: off by {off:.1f}")
sys.exit(not (errors[0] > 0.1 > 1e-3 > max(errors[1:])))
PYTHON
venv/bin/python run.py
