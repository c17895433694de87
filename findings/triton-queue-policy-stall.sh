#!/usr/bin/env bash
# Triton: a `default_queue_policy` makes the dynamic batcher hold some requests for 500 ms.
#
# Seen with: tritonserver 2.51.0 of nvidia-pytriton 0.7.0 (the newest server to be had from PyPI), tritonclient 2.73.0,
#            Python 3.11, x86-64, 2 cores; a model of the python backend that takes 2 ms, max_batch_size 8.
# Behavior:  dynamic_batching alone answers as fast as no batcher. With a default_queue_policy in it, be it only
#            max_queue_size or only a timeout of 5 s that no request comes near, some answers are half a second late.
# Output:    no_batcher: 800 requests, median 10.4 ms, slowest 31 ms, 0 later than 300 ms
#            batcher: 800 requests, median 5.3 ms, slowest 28 ms, 0 later than 300 ms
#            queue_size: 800 requests, median 5.3 ms, slowest 507 ms, 13 later than 300 ms
#            timeout: 800 requests, median 5.5 ms, slowest 506 ms, 3 later than 300 ms
# Bites:     whoever bounds a model's queue, or gives requests a deadline, to protect tail latency: it gets a p99 of 500 ms.
#            A short benchmark can miss it.
# Why:       with a policy the batcher waits for an idle instance. It is woken when an answer is done, which is before the
#            instance's thread counts as idle again; if it looks first, it sleeps for 500 ms or until the next request.
# Way out:   dynamic_batching without a queue policy, and the deadline on the client. Two instances, and the scheduling
#            policy SCHED_BATCH (`chrt -b 0 tritonserver`) on a machine that does nothing else, make it rarer.
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'nvidia-pytriton==0.7.0' 'tritonclient[grpc]==2.73.0' 'numpy<2'
cd "$folder"
PATH="$folder/venv/bin:$PATH" python - <<'PYTHON'
import os
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import tritonclient.grpc as grpc

MODEL = '''
import time
import numpy as np
import triton_python_backend_utils as utils

class TritonPythonModel:
    def execute(self, requests):
        time.sleep(0.002)
        done = utils.Tensor("done", np.ones((1, 1), np.int32))
        return [utils.InferenceResponse([done]) for _ in requests]
'''
CONFIG = '''
backend: "python"
max_batch_size: 8
input {{ name: "image" data_type: TYPE_INT32 dims: [ 1 ] }}
output {{ name: "done" data_type: TYPE_INT32 dims: [ 1 ] }}
instance_group {{ count: 1 kind: KIND_CPU }}
{batching}
'''
POLICY = "dynamic_batching {{ default_queue_policy {{ {} }} }}"
BATCHING = {
    "no_batcher": "",
    "batcher": "dynamic_batching { max_queue_delay_microseconds: 0 }",
    "queue_size": POLICY.format("max_queue_size: 128"),
    "timeout": POLICY.format("timeout_action: REJECT default_timeout_microseconds: 5000000"),
}
REQUESTS, CLIENTS, ROUNDS, PORT = 100, 4, 8, 18001
LATE = 0.3

for name, batching in BATCHING.items():
    folder = Path("models", name, "1")
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(MODEL)
    (folder.parent / "config.pbtxt").write_text(CONFIG.format(batching=batching))

parts = Path(find_spec("pytriton").submodule_search_locations[0]) / "tritonserver"
backend = Path("backends/python").absolute()
backend.mkdir(parents=True)
stub = parts / f"python_backend_stubs/{sys.version_info.major}.{sys.version_info.minor}/triton_python_backend_stub"
for source in (*parts.glob("backends/python/*.*"), stub):
    (backend / source.name).symlink_to(source)
libraries = f"{parts.parent.parent / 'nvidia_pytriton.libs'}:{sysconfig.get_config_var('LIBDIR')}"
command = [parts / "bin/tritonserver", "--model-repository=models", f"--backend-directory={backend.parent}",
           f"--grpc-port={PORT}", "--allow-http=false", "--allow-metrics=false"]
log = open("server.log", "w")
server = subprocess.Popen(command, env=os.environ | {"LD_LIBRARY_PATH": libraries}, stdout=log, stderr=log)
try:
    client = grpc.InferenceServerClient(f"127.0.0.1:{PORT}")
    for _ in range(300):
        try:
            if client.is_server_ready():
                break
        except grpc.InferenceServerException:
            time.sleep(0.2)
    tensor = grpc.InferInput("image", [1, 1], "INT32")
    tensor.set_data_from_numpy(np.zeros((1, 1), np.int32))

    def ask(name):
        start = time.perf_counter()
        client.infer(name, [tensor])
        return time.perf_counter() - start

    latencies = {name: [] for name in BATCHING}
    with ThreadPoolExecutor(CLIENTS) as clients:
        for _ in range(ROUNDS):
            for name in BATCHING:
                latencies[name] += clients.map(ask, [name] * REQUESTS)
finally:
    server.terminate()
    server.wait(30)

late = {name: sum(value > LATE for value in values) for name, values in latencies.items()}
for name, values in latencies.items():
    median = 1e3 * sorted(values)[len(values) // 2]
    print(f"{name}: {len(values)} requests, median {median:.1f} ms, slowest {1e3 * max(values):.0f} ms, "
          f"{late[name]} later than {1e3 * LATE:.0f} ms")
sys.exit(not (late["queue_size"] and late["timeout"] and not late["batcher"] and not late["no_batcher"]))
PYTHON
