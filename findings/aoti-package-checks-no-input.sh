#!/usr/bin/env bash
# A package of AOTInductor answers inputs of another dtype, layout or shape than it was compiled for, wrongly and without
# an error.
#
# Seen with: torch 2.13.0 (CPU), g++ 12, Python 3.11, Linux x86-64.
# Behavior:  the exported program refuses another shape and computes other dtypes and layouts rightly. The package that
#            aoti_compile_and_package makes of it reads any tensor's memory as if it were float32, contiguous and of the
#            shape it was compiled for: int32 pixels are read as tiny floats, a transposed view gives the answer for
#            the untransposed one, and [4, 3] in place of [3, 4] gives an answer of shape [3, 4].
# Output:    float32 [3, 4]: right
#            int32 [3, 4]: answered, wrong
#            transposed view [3, 4]: answered, wrong
#            float32 [4, 3]: answered, shape [3, 4]
#            exported program, float32 [4, 3]: refused
#            exported program, int32 [3, 4]: right
# Bites:     whoever serves such a package behind a decoder or a data loader: a forgotten .float(), a channels-last or
#            permuted image gives plausible nonsense.
# Way out:   check dtype, shape and strides before the call (or .contiguous()), or run with
#            AOTI_RUNTIME_CHECK_INPUTS=1 set while it is compiled and run.
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.3.5
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import sys

import torch


class Network(torch.nn.Module):
    def forward(self, x):
        return x * 2 + 1


def answered(run, tensor):
    try:
        return run(tensor)
    except Exception:
        return None


network = Network().eval()
example = torch.arange(12.0).reshape(3, 4)
program = torch.export.export(network, (example,))
package = torch._inductor.aoti_load_package(
    torch._inductor.aoti_compile_and_package(program, package_path="network.pt2")
)
inputs = {
    "float32 [3, 4]": example,
    "int32 [3, 4]": example.int(),
    "transposed view [3, 4]": torch.arange(12.0).reshape(4, 3).t(),
    "float32 [4, 3]": torch.arange(12.0).reshape(4, 3),
}
found = []
for name, tensor in inputs.items():
    answer, right = answered(package, tensor), network(tensor)
    if answer is None:
        text = "refused"
    elif answer.shape != right.shape:
        text = f"answered, shape {list(answer.shape)}"
    else:
        text = "right" if torch.equal(answer, right) else "answered, wrong"
    found.append(text)
    print(f"{name}: {text}")
shape = answered(program.module(), inputs["float32 [4, 3]"])
print(f"exported program, float32 [4, 3]: {'refused' if shape is None else 'answered'}")
dtype = inputs["int32 [3, 4]"]
right = torch.equal(program.module()(dtype), network(dtype))
print(f"exported program, int32 [3, 4]: {'right' if right else 'wrong'}")
sys.exit(found != ["right", "answered, wrong", "answered, wrong", "answered, shape [3, 4]"] or shape is not None or not right)
PYTHON
