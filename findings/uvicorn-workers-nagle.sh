#!/usr/bin/env bash
# uvicorn with more than one worker answers every request of a kept connection 40 ms late, unless uvloop is there.
#
# Seen with: uvicorn 0.54.0, h11 0.16.0, httptools 0.8.0, uvloop 0.22.1, Python 3.11, Linux x86-64, over loopback.
# Behavior:  workers=1 answers a small POST in about 1 ms. workers=2 takes 40 ms more: the parent process binds the
#            listening socket without a protocol number, so asyncio does not set TCP_NODELAY on what it accepts, and the
#            body of each answer waits for the client's delayed acknowledgment of its header. httptools does not
#            change it; uvloop does, which sets the option itself. `pip install uvicorn` brings neither.
# Output:    workers=1 asyncio: median 0.8 ms
#            workers=2 asyncio: median 44.0 ms
#            workers=2 asyncio, httptools: median 44.0 ms
#            workers=2 uvloop: median 0.3 ms
# Bites:     whoever serves a model of a few milliseconds with FastAPI and one worker per core, or compares a server
#            with that: the framework looks 40 ms slow. Reported as Kludex/uvicorn#3149, kserve/kserve#6050.
# Way out:   uvicorn[standard], or one worker.
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    uvicorn==0.54.0 h11==0.16.0 httptools==0.8.0 uvloop==0.22.1
cd "$folder"
cat > app.py <<'PYTHON'
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
PYTHON
venv/bin/python - <<'PYTHON'
import http.client
import socket
import statistics
import subprocess
import sys
import time

CASES = {
    "workers=1 asyncio": ["--workers", "1", "--loop", "asyncio", "--http", "h11"],
    "workers=2 asyncio": ["--workers", "2", "--loop", "asyncio", "--http", "h11"],
    "workers=2 asyncio, httptools": ["--workers", "2", "--loop", "asyncio", "--http", "httptools"],
    "workers=2 uvloop": ["--workers", "2", "--loop", "uvloop", "--http", "httptools"],
}


def median_ms(options):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "warning"]
    server = subprocess.Popen([*command, *options])
    try:
        for _ in range(200):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.connect()
                break
            except OSError:
                time.sleep(0.1)
        seconds = []
        for _ in range(40):
            start = time.perf_counter()
            connection.request("POST", "/", body=b"x" * 100)
            connection.getresponse().read()
            seconds.append(time.perf_counter() - start)
        return 1e3 * statistics.median(seconds[5:])
    finally:
        server.terminate()
        server.wait(10)


medians = {name: median_ms(options) for name, options in CASES.items()}
for name, median in medians.items():
    print(f"{name}: median {median:.1f} ms")
one, two, httptools, uvloop = medians.values()
sys.exit(not (two > one + 25 and httptools > one + 25 and uvloop < one + 15))
PYTHON
