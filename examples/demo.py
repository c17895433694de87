"""`make demo`: from a checkpoint to a served answer, with the commands that a user would type.

Exports the checkpoint that learned from photographs, serves it with a real tritonserver on free ports of
127.0.0.1, asks it about a real image (scikit-image's public-domain portrait of Eileen Collins) and about
rendered faces, compares the answers with those of the same bundle without a server, measures 200 requests,
and stops the server.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import numpy as np
from PIL import Image

from lnlattennet._command import configure_logging, run_app
from lnlattennet._console import stdout
from lnlattennet.benchmarks.serving.latency import MODELS, latency_table, measure
from lnlattennet.data.synthetic import EXPRESSIONS, HELD_OUT, render_face
from lnlattennet.errors import LnlAttenNetError, ServingError, require

CHECKPOINT = Path("checkpoints/ferplus-base.safetensors")
FOLDER = Path("build/demo")
IMAGES = Path("build/images")
OVERLAY = Path("build/astronaut-overlay.png")
RECORD = Path("build/demo-latency.json")
REQUESTS = 200
TOLERANCE = 1e-4


def demo() -> None:
    """Run all steps.

    Raises:
        LnlAttenNetError: a step failed, or an answer differs.
    """
    configure_logging(0, quiet=False)
    started = time.perf_counter()
    images = write_images()
    run("export-engine", "--checkpoint", CHECKPOINT, "--output", FOLDER, "--force")
    with served() as addresses:
        run("lnlattennet", "predict", *images, "--url", addresses["grpc"])
        run("lnlattennet", "predict", images[0], "--url", addresses["grpc"], "--overlay", OVERLAY, "--quiet")
        compare(images, addresses)
        record = measure([addresses["grpc"]], MODELS, images[0], REQUESTS)
    record.write(RECORD)
    console = stdout()
    console.print(latency_table(record), highlight=False)
    console.print(f"the overlay is {OVERLAY}, the engine report {FOLDER}/report.html, every sample {RECORD}")
    console.print(f"done in {time.perf_counter() - started:.0f} s; the server is stopped")


def write_images() -> list[Path]:
    """Write the portrait and one rendered face of each expression as image files."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    paths = [IMAGES / "astronaut.jpg"]
    Image.fromarray(require("skimage.data", "dev").astronaut()).save(paths[0], quality=95)
    for index, expression in enumerate(EXPRESSIONS):
        face = render_face(2**41 + index, expression, size=224, intensity=0.9, nuisance=HELD_OUT)
        paths.append(IMAGES / f"rendered-{expression}.png")
        Image.fromarray(face.image).save(paths[-1])
    return paths


def run(program: str, *arguments: object) -> str:
    """Print and run one of this project's commands; return its stdout if that is a JSON document."""
    command = print_command(program, *arguments)
    output = subprocess.PIPE if "--json" in command else None
    done = subprocess.run(command, check=False, text=True, stdout=output)
    if done.returncode:
        raise LnlAttenNetError(f"{program} ended with exit code {done.returncode}; its message is above")
    return done.stdout or ""


@contextmanager
def served() -> Iterator[dict[str, str]]:
    """Run `lnlattennet serve` on free ports; give its addresses, and stop it at the end."""
    ports = ("--http-port", 0, "--grpc-port", 0, "--metrics-port", 0)
    command = print_command("lnlattennet", "serve", FOLDER, *ports, "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            # The document ends with a line that is a closing brace; the server runs on.
            document = "".join(takewhile("}\n".__ne__, process.stdout or ()))
            if not document:
                raise ServingError("lnlattennet serve did not start; its message is above")
            yield json.loads(document + "}")
        finally:
            process.terminate()
            process.wait(60)
    if process.returncode:
        raise ServingError(f"lnlattennet serve ended with exit code {process.returncode}")


def print_command(program: str, *arguments: object) -> list[str]:
    """Print a command as a user would type it; return it with the path of its program."""
    words = list(map(str, arguments))
    stdout().print(f"\n$ {shlex.join([program, *words])}", style="bold", highlight=False, soft_wrap=True)
    return [str(Path(sys.executable).with_name(program)), *words]


def compare(images: list[Path], addresses: dict[str, str]) -> None:
    """Check that the server, over both protocols, and the bundle give the same logits for every image."""
    sources = [("--bundle", str(FOLDER)), ("--url", addresses["grpc"]), ("--url", addresses["http"])]
    logits = []
    for flag, value in sources:
        document = json.loads(run("lnlattennet", "predict", *images, flag, value, "--json"))
        logits.append(np.array([prediction["logits"] for prediction in document["predictions"]]))
    difference = max(float(np.abs(other - logits[0]).max()) for other in logits[1:])
    stdout().print(f"served (gRPC, HTTP) and bundle agree: largest difference of a logit {difference:.1e}")
    if not difference <= TOLERANCE:
        raise ServingError(f"served and local logits differ by {difference:.1e}, more than {TOLERANCE:g}")


if __name__ == "__main__":
    run_app(demo)
