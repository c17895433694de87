#!/usr/bin/env bash
# Triton: a model that is loaded over HTTP holds up every open HTTP connection until it is loaded.
#
# Seen with: tritonserver 2.51.0 of nvidia-pytriton 0.7.0 (the newest server to be had from PyPI), tritonclient 2.73.0,
#            Python 3.11, x86-64, 2 cores; explicit model control, eight HTTP threads (the default), 16 connections
#            kept open by clients of another model, which is loaded and answers in milliseconds.
# Behavior:  POST /v2/repository/models/NAME/load answers when the model is loaded. Until then no request on the kept
#            connections is answered, whatever model it asks. While the same model is loaded over gRPC all are.
# Output:    of 16 kept connections, late: 16 (load over HTTP), 0 (load over gRPC)
# Bites:     who updates a model of a running server with curl or tritonclient.http: all clients with connection pools
#            stall for as long as an engine takes to load. A health probe sees nothing, as it opens a connection.
# Why:       the HTTP thread that reads the load carries it out, and connections that are opened while no thread is
#            busy, as these are, all belong to the same thread.
# Way out:   load over gRPC.
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'nvidia-pytriton==0.7.0' 'tritonclient[grpc]==2.73.0' 'numpy<2'
cd "$folder"
PATH="$folder/venv/bin:$PATH" python - <<'PYTHON'
import http.client
import json
import os
import subprocess
import sys
import sysconfig
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import tritonclient.grpc as grpc

MODEL = '''
import time
import numpy as np
import triton_python_backend_utils as utils

class TritonPythonModel:
    def initialize(self, arguments):
        time.sleep(LOADING)

    def execute(self, requests):
        done = utils.Tensor("done", np.ones(1, np.int32))
        return [utils.InferenceResponse([done]) for _ in requests]
'''
CONFIG = '''
backend: "python"
input { name: "number" data_type: TYPE_INT32 dims: [ 1 ] }
output { name: "done" data_type: TYPE_INT32 dims: [ 1 ] }
instance_group { count: 1 kind: KIND_CPU }
'''
QUESTION = json.dumps({"inputs": [{"name": "number", "shape": [1], "datatype": "INT32", "data": [1]}]})
CONNECTIONS, LOADING, HTTP, GRPC = 16, 4, 18003, 18004

for name, loading in {"ready": 0, "slow": LOADING}.items():
    folder = Path(f"models/{name}/1")
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(MODEL.replace("LOADING", str(loading)))
    (folder.parent / "config.pbtxt").write_text(CONFIG)
parts = Path(find_spec("pytriton").submodule_search_locations[0]) / "tritonserver"
backend = Path("backends/python").absolute()
backend.mkdir(parents=True)
stub = parts / f"python_backend_stubs/{sys.version_info.major}.{sys.version_info.minor}/triton_python_backend_stub"
for source in (*parts.glob("backends/python/*.*"), stub):
    (backend / source.name).symlink_to(source)
libraries = f"{parts.parent.parent / 'nvidia_pytriton.libs'}:{sysconfig.get_config_var('LIBDIR')}"
command = [parts / "bin/tritonserver", "--model-repository=models", f"--backend-directory={backend.parent}",
           "--model-control-mode=explicit", "--load-model=ready", f"--http-port={HTTP}", f"--grpc-port={GRPC}",
           "--allow-metrics=false"]
log = open("server.log", "w")
server = subprocess.Popen(command, env=os.environ | {"LD_LIBRARY_PATH": libraries}, stdout=log, stderr=log)


def post(connection, path, body=""):
    """Seconds until the answer."""
    begun = time.monotonic()
    connection.request("POST", path, body)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise RuntimeError(text)
    return time.monotonic() - begun


def late(load):
    """How many of the kept connections wait for their answer while the slow model is loaded."""
    connections = [http.client.HTTPConnection("127.0.0.1", HTTP) for _ in range(CONNECTIONS)]
    for connection in connections:
        post(connection, "/v2/models/ready/infer", QUESTION)
    waits = [0.0] * CONNECTIONS

    def ask(index):
        waits[index] = post(connections[index], "/v2/models/ready/infer", QUESTION)

    loading = threading.Thread(target=load)
    loading.start()
    time.sleep(1)
    asking = [threading.Thread(target=ask, args=[index]) for index in range(CONNECTIONS)]
    for thread in asking:
        thread.start()
    for thread in (*asking, loading):
        thread.join()
    for connection in connections:
        connection.close()
    return sum(wait > LOADING / 4 for wait in waits)


try:
    client = grpc.InferenceServerClient(f"127.0.0.1:{GRPC}")
    for _ in range(300):
        try:
            if client.is_server_ready():
                break
        except grpc.InferenceServerException:
            time.sleep(0.2)
    over_http = late(lambda: post(http.client.HTTPConnection("127.0.0.1", HTTP), "/v2/repository/models/slow/load"))
    client.unload_model("slow")
    time.sleep(1)
    over_grpc = late(lambda: client.load_model("slow"))
finally:
    server.terminate()
    server.wait(30)

print(f"of {CONNECTIONS} kept connections, late: {over_http} (load over HTTP), {over_grpc} (load over gRPC)")
sys.exit(over_http < CONNECTIONS or over_grpc > 0)
PYTHON
