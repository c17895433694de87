"""Triton's load generator, ``perf_analyzer``, and every request that it timed.

It measures windows and prints summaries; its export file has the start and end of each request, which is what
is kept here. The program comes with NVIDIA's SDK container and with the wheel tritonclient 2.51.0 (its other
wheels on PyPI have none, or one that needs a newer glibc).
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import stat
import struct
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from lnlattennet.errors import LnlAttenNetError, UnavailableError

WHEEL = "tritonclient==2.51.0"
_LIBRARIES = {"libb64": "libb64.so.0d", "libcudart": "libcudart.so.12"}
"""What the wheel's program asks for; the wheel of the embedded server has both under other names."""

_TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Load:
    """A pattern of arrivals.

    Attributes:
        name: what tables call it.
        concurrency: requests in flight at any time; 0 if the arrivals have times of their own.
        gaps_us: microseconds between one arrival and the next, in a circle.
    """

    name: str
    concurrency: int = 0
    gaps_us: Sequence[int] = field(default=())


@dataclass(frozen=True)
class Served:
    """Requests of one run.

    Attributes:
        latencies: seconds of each request, in the order of their starts.
        seconds: from the first start to the last end.
    """

    latencies: list[float]
    seconds: float


class PerfAnalyzer:
    """The program; ``open_perf_analyzer`` makes one.

    Args:
        program: the executable.
        folder: existing folder for its inputs and exports.
        libraries: folder of shared libraries that it needs; None if the system has them.
    """

    def __init__(self, program: Path, folder: Path, libraries: Path | None = None) -> None:
        self.program, self._folder = program, folder
        self._environment = dict(os.environ)
        if libraries is not None:
            paths = [str(libraries), os.environ.get("LD_LIBRARY_PATH", "")]
            self._environment["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, paths))

    def run(self, url: str, model: str, image: bytes, load: Load, requests: int) -> Served:
        """Send one image again and again.

        Args:
            url: ``grpc://host:port`` or ``http://host:port``.
            model: a served model with the input ``image``, BYTES [1].
            image: an encoded image.
            load: when requests are sent.
            requests: number of requests that are timed.

        Raises:
            LnlAttenNetError: the program failed, or a request did.
        """
        protocol, _, address = url.partition("://")
        export = self._folder / "export.json"
        export.unlink(missing_ok=True)
        command = [
            str(self.program), "-m", model, "-u", address, "-i", protocol,
            "--input-data", str(self._input(image)), "--request-count", str(requests),
            "--profile-export-file", str(export), *self._arrivals(load),
        ]  # fmt: skip
        done = self._call(command) or self._call(command)
        if done is None:
            raise LnlAttenNetError(
                f"perf_analyzer did not finish {requests} requests to {model} at {url} ({load.name}) within "
                f"{_TIMEOUT_SECONDS} s; measure again, with fewer --requests if the server is slow"
            )
        if done.returncode or not export.exists():
            reason = " ".join((done.stderr or done.stdout).split())[-600:]
            raise LnlAttenNetError(f"perf_analyzer failed on {model} at {url}: {reason}")
        return read_export(export)

    def _call(self, command: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
        """Run the program; return None if it did not end.

        Once in some hundred runs version 2.51.0 waits for good, although every request is answered: the
        threads that send have ended, and its first one sleeps.
        """
        try:
            return subprocess.run(
                command,
                env=self._environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None

    def _input(self, image: bytes) -> Path:
        # A BYTES element begins with its length.
        element = struct.pack("<I", len(image)) + image
        path = self._folder / "input.json"
        path.write_text(json.dumps({"data": [{"image": {"b64": base64.b64encode(element).decode()}}]}))
        return path

    def _arrivals(self, load: Load) -> list[str]:
        if load.concurrency:
            return ["--concurrency-range", str(load.concurrency)]
        path = self._folder / "gaps.txt"
        path.write_text("\n".join(map(str, load.gaps_us)) + "\n")
        return ["--request-intervals", str(path)]


def read_export(path: Path) -> Served:
    """Read the requests of a profile export file.

    Raises:
        LnlAttenNetError: a request has no answer, or there is none.
    """
    # It holds the bytes of every sent image as they are, so it is no UTF-8.
    document = json.loads(path.read_text(encoding="latin-1"), strict=False)
    requests = document["experiments"][0]["requests"]
    unanswered = sum(not request["response_timestamps"] for request in requests)
    if unanswered or not requests:
        raise LnlAttenNetError(f"{unanswered} of {len(requests)} requests of perf_analyzer had no answer")
    times = sorted((request["timestamp"], request["response_timestamps"][-1]) for request in requests)
    latencies = [(end - start) / 1e9 for start, end in times]
    return Served(latencies, (max(end for _, end in times) - times[0][0]) / 1e9)


def add_perf_analyzer(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the program."""
    text = "the program, or a wheel that holds it; by default on PATH"
    parser.add_argument("--perf-analyzer", type=Path, metavar="PATH", help=text)


@contextmanager
def open_perf_analyzer(path: Path | None) -> Iterator[PerfAnalyzer]:
    """Find the program.

    Args:
        path: the program, or a wheel that holds it; None takes the one on PATH.

    Raises:
        UnavailableError: there is none.
    """
    with tempfile.TemporaryDirectory(prefix="lnlattennet-load-") as name:
        folder = Path(name)
        if path is not None and path.suffix == ".whl":
            yield PerfAnalyzer(_unpack(path, folder), folder, _link_libraries(folder))
            return
        program = shutil.which(path or "perf_analyzer")
        if program is None:
            raise UnavailableError(
                f"no perf_analyzer {'on PATH' if path is None else f'at {path}'}: run "
                f"`pip download --no-deps {WHEEL}` and give the wheel with --perf-analyzer"
            )
        yield PerfAnalyzer(Path(program), folder)


def _unpack(wheel: Path, folder: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = [name for name in archive.namelist() if name.endswith("/bin/perf_analyzer")]
            if not found:
                raise UnavailableError(f"{wheel} has no perf_analyzer; that of {WHEEL} has")
            program = Path(archive.extract(found[0], folder))
    except (OSError, zipfile.BadZipFile) as error:
        raise UnavailableError(f"{wheel} cannot be read as a wheel: {error}") from error
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def _link_libraries(folder: Path) -> Path:
    libraries = folder / "libraries"
    libraries.mkdir()
    try:
        files = metadata.files("nvidia-pytriton") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        stem = file.name.split("-")[0]
        if stem in _LIBRARIES and file.parent.name.endswith(".libs"):
            (libraries / _LIBRARIES[stem]).symlink_to(file.locate())
    return libraries
