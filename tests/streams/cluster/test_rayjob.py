"""The KubeRay job of examples/deployment fits the command and Ray."""

from __future__ import annotations

import importlib.metadata
import shlex
from pathlib import Path
from typing import Any

import pytest

from lnlattennet._cli import load_command

yaml = pytest.importorskip("yaml")

FILE = Path(__file__).parents[3] / "examples/deployment/rayjob.yaml"


@pytest.fixture(scope="module")
def job() -> Any:
    return yaml.safe_load(FILE.read_text())["spec"]


def test_the_command_exists_and_has_a_worker_for_each_core(job: Any) -> None:
    program, name, *arguments = shlex.split(job["entrypoint"])
    assert (program, name) == ("lnlattennet", "score")
    options = load_command(name).make_context(name, arguments).params
    assert (options["cluster"], options["resume"]) == ("auto", True)
    (group,) = job["rayClusterSpec"]["workerGroupSpecs"]
    cores = int(group["rayStartParams"]["num-cpus"])
    assert options["workers"] == group["replicas"] * cores
    (container,) = group["template"]["spec"]["containers"]
    assert int(container["resources"]["requests"]["cpu"]) == cores
    assert job["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_all_nodes_are_the_same_image_and_report_to_nobody(job: Any) -> None:
    cluster = job["rayClusterSpec"]
    pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    containers = [container for pod in pods for container in pod["template"]["spec"]["containers"]]
    assert len({container["image"] for container in containers}) == 1
    assert f"rayproject/ray:{cluster['rayVersion']}-" in FILE.read_text()
    installed = importlib.metadata.version("ray")
    assert cluster["rayVersion"].split(".")[0] == installed.split(".")[0]
    for container in containers:
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]
        assert container["securityContext"]["runAsUser"] > 0
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
