"""`lnlattennet deploy --tune` with real servers: few candidates, little load."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from importlib import util
from pathlib import Path

import pytest

from lnlattennet._cli import main
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import ServingError
from lnlattennet.serving._predictor import load
from lnlattennet.serving.supervision._known_face import known_face
from lnlattennet.serving.triton._deployment import Deployment
from lnlattennet.serving.triton._model_config import read_config
from lnlattennet.serving.triton._process import TritonProcess
from lnlattennet.serving.triton._repository import deploy
from lnlattennet.serving.triton._scheduling import Scheduling
from lnlattennet.serving.tuning import _rounds, _tune
from lnlattennet.serving.tuning._load import put_load
from tests.commands import call

COMMAND = Path(sys.executable).with_name("lnlattennet")
ProcessesOf = Callable[[Path], list[int]]
HELD = Scheduling(instances=1)
"""What the check of a deployment refuses."""

NONE_JOINED = Scheduling(joined=1)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One round of three candidates, of which only one can be served."""
    monkeypatch.setattr(_tune, "candidates", lambda *_: [HELD, NONE_JOINED, replace(HELD, joined=1)])
    monkeypatch.setattr(_rounds, "ROUNDS", 1)
    monkeypatch.setattr(_tune, "SECONDS", 0.2)


@pytest.mark.slow
@pytest.mark.usefixtures("quick", "triton_server")
def test_the_best_is_deployed_with_every_sample(
    bundle_path: Path, tmp_path: Path, processes_of: ProcessesOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    done = call(
        main, "lnlattennet", "deploy", bundle_path, "-o", "served", "--tune", "--tune-concurrency", "2,1",
        folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "3 candidates on" in done.stderr
    assert "none joined" in done.stdout
    assert "chosen" in done.stdout
    version = Deployment(tmp_path / "served").active
    config = read_config(version.models / "expression_pipeline" / "config.pbtxt")
    assert config.dynamic_batching.preferred_batch_size == [1]
    record = json.loads((version.path / "tune.json").read_text())
    held, chosen, _ = record["candidates"]
    assert record["chosen"] == chosen["scheduling"] == version.describe()["scheduling"]
    assert "500 ms" in held["refused"]
    assert held["turns"] == []
    (turn,) = chosen["turns"]
    assert [sample["in_flight"] for sample in turn["samples"]] == [2, 1]
    assert all(latency > 0 for sample in turn["samples"] for latency in sample["latencies_ms"])
    assert done.stdout.startswith((version.path / "tune.md").read_text().partition("\n")[0])
    assert ElementTree.parse(version.path / "tune.svg").getroot().tag.endswith("svg")  # noqa: S314 - own file
    assert processes_of(temporary) == []
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("triton_server")
def test_ctrl_c_leaves_the_deployment_as_it_was_and_no_server(
    bundle_path: Path, tmp_path: Path, processes_of: ProcessesOf
) -> None:
    served, temporary = deploy(Bundle.load(bundle_path), tmp_path / "served"), tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [COMMAND, "deploy", bundle_path, "-o", served.path, "--tune"],
        env=os.environ | {"TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not any(b"model.py" in _command_line(pid) for pid in processes_of(temporary)):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        log = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 130, log
    assert "interrupted" in log
    assert [version.number for version in served.versions()] == [1]
    assert processes_of(temporary) == []
    assert list(temporary.iterdir()) == []
    assert list(Path("/dev/shm").glob(f"lnlattennet-{process.pid}-*")) == []  # noqa: S108


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_load_keeps_requests_in_flight_and_refuses_another_answer(
    server: TritonProcess, bundle_path: Path
) -> None:
    expected = load(bundle_path).predict(known_face())
    sample = put_load(server.endpoints.grpc, known_face(), expected, 3, 0.2)
    assert len(sample.latencies_ms) >= 3
    assert sample.seconds >= 0.2
    assert sample.rate == len(sample.latencies_ms) / sample.seconds
    names = list(expected.probabilities)
    other = replace(expected, probabilities=dict.fromkeys(names, 1 / len(names)))
    with pytest.raises(ServingError, match=r"the server answers with .* and the bundle in this process"):
        put_load(server.endpoints.grpc, known_face(), other, 3, 0.2)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tune-objective", "latency"], "--tune-objective is for --tune"),
        (["--tune-concurrency", "1"], "--tune-concurrency is for --tune"),
        (["--tune-image", "face.jpg"], "--tune-image is for --tune"),
        (["--backend-directory", "backends"], "--backend-directory is for --tune"),
        (["--tune", "--tune-concurrency", "1;2"], "must be numbers with commas between"),
        (["--tune", "--tune-concurrency", "0"], "must be different numbers from 1 to 128"),
        (["--tune", "--tune-image", "none.jpg"], "none.jpg: No such file"),
        (["--tune", "--server-backend", "tensorrt"], "this machine's tritonserver has python"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_a_server_starts(
    bundle_path: Path, tmp_path: Path, flags: list[str], message: str
) -> None:
    done = call(main, "lnlattennet", "deploy", bundle_path, "-o", "served", *flags, folder=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr
    assert not (tmp_path / "served").exists()


def test_without_a_tritonserver_the_error_names_the_extra(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    find = util.find_spec
    monkeypatch.setattr(
        util, "find_spec", lambda name, *rest: None if name == "pytriton" else find(name, *rest)
    )
    done = call(main, "lnlattennet", "deploy", bundle_path, "-o", "served", "--tune", folder=tmp_path)
    assert done.returncode == 4
    assert "pip install 'lnlattennet[server]'" in done.stderr
    backends = ["--backend-directory", "none"]
    done = call(
        main, "lnlattennet", "deploy", bundle_path, "-o", "served", "--tune", *backends, folder=tmp_path
    )
    assert "--backend-directory none needs a tritonserver on PATH" in done.stderr
    assert not (tmp_path / "served").exists()
