"""Instances, threads and queues as a deployment writes them, and as a served model reads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import ServingError
from lnlattennet.machine import _hardware
from lnlattennet.serving.triton._deployment import Version
from lnlattennet.serving.triton._discovery import TritonServer
from lnlattennet.serving.triton._endpoints import Endpoints
from lnlattennet.serving.triton._model_config import read_config
from lnlattennet.serving.triton._process import _command
from lnlattennet.serving.triton._repository import add_version
from lnlattennet.serving.triton._scheduling import Scheduling, default_scheduling, threads_of_instance

pytest.importorskip("tritonclient.grpc")

TUNED = Scheduling(instances=3, threads=4, engine_instances=5, joined=8, delay_us=300)
ONNX = {"python", "onnxruntime"}


@pytest.fixture(scope="module")
def bundle(bundle_path: Path) -> Bundle:
    return Bundle.load(bundle_path)


def config_of(version: Version, model: str) -> Any:
    return read_config(version.models / model / "config.pbtxt")


def as_given_by_triton(config: Any) -> dict[str, Any]:
    """The parts of a configuration that matter here, as a Python model gets them."""
    return {
        "instance_group": [{"count": group.count} for group in config.instance_group],
        "parameters": {
            name: {"string_value": value.string_value} for name, value in config.parameters.items()
        },
    }


def test_the_engine_in_python_shares_instances_and_queue_with_the_images(
    bundle: Bundle, tmp_path: Path
) -> None:
    version = add_version(bundle, tmp_path / "deployment", scheduling=TUNED)
    pipeline = config_of(version, "expression_pipeline")
    assert pipeline.instance_group[0].count == 3
    assert pipeline.dynamic_batching.preferred_batch_size == [8]
    assert pipeline.dynamic_batching.max_queue_delay_microseconds == 300
    assert pipeline.dynamic_batching.default_queue_policy.max_queue_size == 128
    assert pipeline.max_batch_size == bundle.manifest.engine().batch[2]
    assert threads_of_instance(as_given_by_triton(pipeline)) == 4
    assert version.describe()["scheduling"]["instances"] == 3


def test_an_engine_in_the_servers_own_backend_has_instances_and_a_queue_of_its_own(
    bundle: Bundle, tmp_path: Path
) -> None:
    version = add_version(bundle, tmp_path / "deployment", ONNX, "onnxruntime-fp32", scheduling=TUNED)
    pipeline, engine = (config_of(version, name) for name in ("expression_pipeline", "lnlattennet_engine"))
    assert (pipeline.instance_group[0].count, engine.instance_group[0].count) == (3, 5)
    assert engine.dynamic_batching.preferred_batch_size == [8]
    assert engine.dynamic_batching.max_queue_delay_microseconds == 300
    # Nobody joins images: each takes its own time.
    assert pipeline.dynamic_batching.max_queue_delay_microseconds == 0


def test_nothing_is_joined_before_an_engine_on_the_cpu_in_python(bundle: Bundle, tmp_path: Path) -> None:
    python = add_version(bundle, tmp_path / "python")
    assert config_of(python, "expression_pipeline").dynamic_batching.preferred_batch_size == [1]
    assert python.describe()["scheduling"]["joined"] == 1
    native = add_version(bundle, tmp_path / "native", ONNX, "onnxruntime-fp32")
    assert config_of(native, "expression_pipeline").dynamic_batching.preferred_batch_size == [1]
    assert config_of(native, "lnlattennet_engine").dynamic_batching.preferred_batch_size == []
    engine = bundle.manifest.engine()
    on_gpu = engine.model_copy(update={"requires": engine.requires.model_copy(update={"device": "cuda"})})
    assert default_scheduling(on_gpu, native=False) == Scheduling()


def test_one_instance_is_refused_as_it_would_hold_requests(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="500 ms"):
        add_version(bundle, tmp_path / "deployment", scheduling=Scheduling(instances=1))


@pytest.mark.parametrize(
    ("cores", "instances", "threads"),
    [(1, 2, 1), (2, 2, 2), (3, 2, 2), (4, 2, 2), (2, 3, 1), (16, 2, 8), (16, 24, 1), (7, 3, 2)],
)
def test_instances_share_the_cores_of_the_machine_that_serves(
    bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    instances: int,
    threads: int,
) -> None:
    version = add_version(bundle, tmp_path / "deployment", scheduling=Scheduling(instances=instances))
    config = as_given_by_triton(config_of(version, "expression_pipeline"))
    monkeypatch.delenv("LNLATTENNET_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(cores))
    monkeypatch.setattr(_hardware, "cpu_quota", lambda: None)
    assert threads_of_instance(config) == threads
    # A container's limit counts, not the cores that are seen.
    monkeypatch.setattr(_hardware, "cpu_quota", lambda: 1.0)
    assert threads_of_instance(config) == 1
    monkeypatch.setenv("LNLATTENNET_THREADS", str(10 * instances))
    assert threads_of_instance(config) == 10


@pytest.mark.parametrize("backends", [("python",), ("python", "onnxruntime")])
def test_instances_in_tritons_own_onnx_runtime_share_one_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backends: tuple[str, ...]
) -> None:
    monkeypatch.setenv("LNLATTENNET_THREADS", "5")
    for name in backends:
        (tmp_path / name).mkdir()
    server = TritonServer(Path("/bin/false"), tmp_path)
    command = _command(server, tmp_path, Endpoints("127.0.0.1", 1, 2, 3), "prefix", "key", False)
    options = [option for option in command if option.startswith("--backend-config=onnxruntime,")]
    assert [option.rpartition(",")[2] for option in options] == (
        ["enable-global-threadpool=1", "intra_op_thread_count=5"] if len(backends) > 1 else []
    )
