#!/usr/bin/env bash
# torch.backends.cudnn.flags and mkldnn.flags switch off the library whose flags they set, and reset what is not named.
#
# Seen with: torch 2.13.0 (CPU), numpy 2.3.5, Python 3.11, Linux x86-64.
# Behavior:  these contexts take one flag or several by name. What is not named is not left as it is: `enabled` becomes
#            False, so that inside cuDNN or oneDNN is not used at all, and benchmark, deterministic and allow_tf32 go
#            back to fixed defaults. On a CPU the convolutions then run in torch's own code, whatever else is asked for;
#            their numbers differ in the last bits. Afterwards all is as before. No warning, no error.
#            set_flags, which has the same names with an underscore, leaves alone what is not named.
# Output:    cudnn before: enabled True, benchmark True, deterministic True, allow_tf32 True
#            cudnn.flags(allow_tf32=False): enabled False, benchmark False, deterministic False, allow_tf32 False
#            cudnn after: enabled True, benchmark True, deterministic True, allow_tf32 True
#            a convolution before: aten::mkldnn_convolution
#            in mkldnn.flags(deterministic=True): aten::_slow_conv2d_forward
#            in mkldnn.flags(enabled=True, deterministic=True): aten::mkldnn_convolution
# Bites:     `with torch.backends.cudnn.flags(allow_tf32=False)` around an evaluation that is to be of full float32: it is,
#            without cuDNN's kernels. `with torch.backends.mkldnn.flags(deterministic=True)` around a test on a CPU tries
#            other code than that which runs without it.
# Way out:   name enabled=True, and every other flag that is to stay.
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.3.5 2>/dev/null
cat > "$folder/run.py" <<'PYTHON'
import sys

import torch
from torch.backends import cudnn, mkldnn
from torch.profiler import ProfilerActivity, profile

FLAGS = "enabled", "benchmark", "deterministic", "allow_tf32"
OWN, ONEDNN = "aten::_slow_conv2d_forward", "aten::mkldnn_convolution"
convolution = torch.nn.Conv2d(64, 64, 3, padding=1).eval()
image = torch.rand(8, 64, 56, 56)


def flags():
    return {name: getattr(cudnn, name) for name in FLAGS}


def operator():
    """Return the operator that computes the convolution."""
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU]) as trace:
        convolution(image)
    ran = {event.key for event in trace.key_averages()}
    [name] = ran & {OWN, ONEDNN}
    return name


def told(state):
    return ", ".join(f"{name} {value}" for name, value in state.items())


cudnn.benchmark = cudnn.deterministic = True
before = flags()
with cudnn.flags(allow_tf32=False):
    inside = flags()
after = flags()
print("cudnn before:", told(before))
print("cudnn.flags(allow_tf32=False):", told(inside))
print("cudnn after:", told(after))
plain = operator()
with mkldnn.flags(deterministic=True):
    one = operator()
with mkldnn.flags(enabled=True, deterministic=True):
    both = operator()
print("a convolution before:", plain)
print("in mkldnn.flags(deterministic=True):", one)
print("in mkldnn.flags(enabled=True, deterministic=True):", both)
expected = before == after == dict.fromkeys(FLAGS, True) and inside == dict.fromkeys(FLAGS, False)
sys.exit(not (expected and (plain, one, both) == (ONEDNN, OWN, ONEDNN)))
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/run.py"
