#!/usr/bin/env bash
# OpenVINO converts some torch operations to ones that answer something else, silently.
#
# Seen with: openvino 2026.4.1, torch 2.13.0 (CPU), numpy 2.3.5, Python 3.11, Linux x86-64.
# Behavior:  openvino.convert_model of a traced or exported torch module, run on the CPU. Softplus loses its beta (an
#            exported module has been taken apart before, and is right). cdist takes no absolute values: with p = 1 it
#            adds up signed differences, and answers NaN where the sum is negative. Where two axes are indexed by
#            tensors, index -1 of the second means the last place of the row before, not of its own. Whole numbers
#            divided by // are rounded to zero, not down (reported as openvinotoolkit/openvino#38248). No warning, no
#            error.
# Output:    softplus, beta 100: traced WRONG, exported right
#            cdist, p 1: traced WRONG, exported WRONG
#            x[:, [0, 2], [1, -1]]: traced WRONG, exported WRONG
#            whole numbers // 4, from -9: traced WRONG, exported WRONG
#            softplus, beta 1: traced right, exported right
#            cdist, p 2: traced right, exported right
#            x[:, [0, 2], [1, 7]]: traced right, exported right
#            whole numbers // 4, from 0: traced right, exported right
# Bites:     implicit surfaces (Softplus(beta=100)), heads that compare by L1 distances, the last token or pixel picked
#            beside another index, buckets of relative positions by //: what converts without an error seems converted.
# Way out:   compare the converted model's answers with torch's; write F.softplus(x * beta) / beta, absolute differences
#            and index % size; or export to ONNX, from which OpenVINO is right (tried: softplus, indices and //).
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# openvino imports packaging for exported modules, and does not ask for it.
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    'openvino==2026.4.1' 'torch==2.13.0' 'numpy==2.3.5' 'packaging==26.4' 2>/dev/null
cd "$folder"
cat > run.py <<'PYTHON'
import sys
import warnings

sys.modules["openvino_telemetry"] = None  # It would report that the package was imported.
warnings.filterwarnings("ignore")
import numpy as np
import openvino
import torch
from torch.nn import functional

FLOATS = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))
WRONG = {
    "softplus, beta 100": (lambda x: functional.softplus(x / 50, beta=100.0), FLOATS),
    "cdist, p 1": (lambda x: torch.cdist(x, x.flip(1), p=1.0), FLOATS),
    "x[:, [0, 2], [1, -1]]": (lambda x: x[:, torch.tensor([0, 2]), torch.tensor([1, -1])], FLOATS),
    "whole numbers // 4, from -9": (lambda x: x // 4, torch.arange(-9, 9)),
}
RIGHT = {
    "softplus, beta 1": (lambda x: functional.softplus(x / 50), FLOATS),
    "cdist, p 2": (lambda x: torch.cdist(x, x.flip(1)), FLOATS),
    "x[:, [0, 2], [1, 7]]": (lambda x: x[:, torch.tensor([0, 2]), torch.tensor([1, 7])], FLOATS),
    "whole numbers // 4, from 0": (lambda x: x // 4, torch.arange(0, 18)),
}
# By the definitions, in numpy and float64.
x, whole = FLOATS.numpy().astype(float), np.arange(-9, 18)
DEFINED = {
    "softplus, beta 100": np.log1p(np.exp(100 * x / 50)) / 100,
    "cdist, p 1": np.abs(x[:, :, None] - x[:, None, ::-1]).sum(-1),
    "x[:, [0, 2], [1, -1]]": x[:, [0, 2], [1, -1]],
    "whole numbers // 4, from -9": np.arange(-9, 9) // 4,
    "softplus, beta 1": np.log1p(np.exp(x / 50)),
    "cdist, p 2": np.sqrt(((x[:, :, None] - x[:, None, ::-1]) ** 2).sum(-1)),
    "x[:, [0, 2], [1, 7]]": x[:, [0, 2], [1, 7]],
    "whole numbers // 4, from 0": np.arange(0, 18) // 4,
}


class Module(torch.nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, values):
        return self.function(values)


def right(name, converted, given):
    compiled = openvino.compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.allclose(compiled(given.numpy())[0], DEFINED[name], 1e-3, 1e-3)


def verdicts(name, function, given):
    """Return whether OpenVINO is right with the traced and with the exported module."""
    module = Module(function)
    assert np.allclose(module(given).numpy(), DEFINED[name], 1e-4, 1e-4)  # torch itself is.
    traced = openvino.convert_model(torch.jit.trace(module, given), example_input=given)
    exported = openvino.convert_model(torch.export.export(module, (given,)))
    return right(name, traced, given), right(name, exported, given)


found = {name: verdicts(name, *case) for name, case in (WRONG | RIGHT).items()}
for name, (traced, exported) in found.items():
    print(f"{name}: traced {'right' if traced else 'WRONG'}, exported {'right' if exported else 'WRONG'}")
sys.exit(any(found[name][0] for name in WRONG) or not all(all(found[name]) for name in RIGHT))
PYTHON
venv/bin/python run.py
