#!/usr/bin/env bash
# `import openvino` imports the model converter, whether models are converted or not: 125 modules.
#
# Seen with: openvino 2026.4.1, openvino-telemetry 2025.2.0, numpy 1.26.4, Python 3.11, Linux x86-64, 2 cores.
# Behavior:  the package tries `from openvino.tools.ovc import convert_model` and goes on without it if that fails.
#            The converter brings argparse, the telemetry client and its HTTP modules with it. A process that
#            only runs models needs none of them, and `sys.modules["openvino.tools.ovc"] = None` before the
#            import leaves them out; compiling and running a model gives the same answer.
# Output:    with the converter: 25 of its modules, 441 in all, 0.29 s of processor time
#            without the converter: 0 of its modules, 316 in all, 0.18 s of processor time
#            the same answer: True
# Bites:     whoever starts many processes that run OpenVINO: instances of Triton Python models, workers of uvicorn,
#            functions in a cloud. Each pays a third of its import for nothing.
# Way out:   the line above, in processes that convert nothing.
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    openvino==2026.4.1 openvino-telemetry==2025.2.0 numpy==1.26.4
cd "$folder"
cat > run.py <<'PYTHON'
import json
import sys
import time

if sys.argv[1] == "without":
    sys.modules["openvino.tools.ovc"] = None
start = time.process_time()
import openvino

seconds = time.process_time() - start
converter = sorted(name for name in sys.modules if name.startswith("openvino.tools.ovc") and sys.modules[name])
import numpy as np
from openvino import opset13 as ops

value = ops.parameter([4], np.float32, name="value")
model = openvino.compile_model(openvino.Model([ops.relu(value)], [value], "relu"), "CPU")
answer = model(np.array([-1, 2, -3, 4], np.float32))[0].tolist()
print(json.dumps({"seconds": seconds, "converter": len(converter), "modules": len(sys.modules), "answer": answer}))
PYTHON
venv/bin/python - <<'PYTHON'
import json
import statistics
import subprocess
import sys


def run(how):
    return json.loads(subprocess.run([sys.executable, "run.py", how], check=True, capture_output=True, text=True).stdout)


runs = {how: [] for how in ("with", "without")}
run("with")
for _ in range(7):
    for how, results in runs.items():
        results.append(run(how))
for how, results in runs.items():
    seconds = statistics.median(result["seconds"] for result in results)
    first = results[0]
    print(f"{how} the converter: {first['converter']} of its modules, {first['modules']} in all, {seconds:.2f} s of processor time")
first, second = (results[0] for results in runs.values())
same = first["answer"] == second["answer"] == [0, 2, 0, 4]
print(f"the same answer: {same}")
sys.exit(0 if same and first["converter"] > 20 and second["converter"] == 0 else 1)
PYTHON
