"""The files of examples/deployment fit the code: options, ports, paths, times and metrics."""

from __future__ import annotations

import json
import re
from functools import reduce
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from lnlattennet._cli import load_command
from lnlattennet.bundle.doctor._triton_releases import is_safe, known_releases
from lnlattennet.images.finders._registry import finder_infos
from lnlattennet.serving.supervision._health_address import health_address
from lnlattennet.serving.supervision._status import Status
from lnlattennet.serving.triton import _discovery, _process
from lnlattennet.serving.triton._process import TritonProcess

yaml = pytest.importorskip("yaml")

FILES = Path(__file__).parents[2] / "examples" / "deployment"
STOP_SECONDS = 2 * _process._DRAIN_SECONDS + 5 + _process._KILL_SECONDS
"""Longest time from SIGTERM to the end: drain, exit of the server, end of what is left."""


def rendered(template: str) -> Any:
    """A template of the chart with its default values; it may use the expressions below only."""
    values = yaml.safe_load((FILES / "chart/values.yaml").read_text())

    def value(expression: re.Match[str]) -> str:
        text = expression[1]
        if text in (".Release.Name", ".Chart.Name"):
            return "expression"
        if added := re.fullmatch(r"add \.Values\.(\w+) (\d+)", text):
            return str(values[added[1]] + int(added[2]))
        plain = re.fullmatch(r"(?:toYaml )?\.Values\.([\w.]+)( \| quote| \| nindent \d+)?", text)
        assert plain, text
        found = reduce(dict.__getitem__, plain[1].split("."), values)
        return json.dumps(found) if plain[2] else str(found)

    text = (FILES / f"chart/templates/{template}.yaml").read_text()
    return yaml.safe_load(re.sub(r"\{\{-? (.+?) \}\}", value, text))


@pytest.fixture(scope="module")
def pod() -> Any:
    return rendered("deployment")["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod: Any) -> Any:
    (only,) = pod["containers"]
    return only


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((FILES / "compose.yaml").read_text())["services"]["expression"]


def instruction(name: str) -> str:
    """The only line of the Dockerfile with an instruction."""
    (found,) = re.findall(rf"^{name} (.+)$", (FILES / "Dockerfile").read_text(), flags=re.MULTILINE)
    return str(found)


def options(arguments: list[str]) -> dict[str, Any]:
    """Options of `lnlattennet ARGUMENTS`, as the command reads them."""
    name, *rest = arguments
    return dict(load_command(name).make_context(name, rest).params)


def ports(arguments: list[str]) -> list[int]:
    read = options(arguments)
    return [read[f"{name}_port"] for name in ("http", "grpc", "metrics", "health")]


def test_the_image_is_of_a_known_and_safe_release() -> None:
    image = instruction("FROM")
    (release,) = [row.release for row in known_releases().values() if row.image == image]
    assert is_safe(release)
    assert instruction("ENTRYPOINT") == '["lnlattennet"]'
    assert (
        f"COPY bundle {options(json.loads(instruction('CMD')))['bundle']}\n"
        in (FILES / "Dockerfile").read_text()
    )


@pytest.mark.parametrize("name", ["Dockerfile", "rayjob.yaml"])
def test_the_images_have_every_face_finder(name: str) -> None:
    (extras,) = re.findall(r"-\*\.whl\)\[([\w,]+)\]", (FILES / name).read_text())
    assert {info.extra for info in finder_infos() if info.extra} <= set(extras.split(","))


def test_the_ports_are_those_that_serve_listens_on(pod: Any, container: Any, compose: Any) -> None:
    image, chart = json.loads(instruction("CMD")), container["args"]
    for arguments in (image, chart):
        assert options(arguments)["host"] == "0.0.0.0"  # noqa: S104
    assert ports(image) == ports(chart) == [int(port) for port in instruction("EXPOSE").split()]
    names = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert list(names.values()) == ports(chart)
    assert compose["ports"] == [f"127.0.0.1:{port}:{port}" for port in ports(image)]
    for port in rendered("service")["spec"]["ports"]:
        assert port["port"] == names[port["targetPort"]]


def test_the_probes_ask_what_is_answered(container: Any, compose: Any) -> None:
    probes = [container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")]
    assert {probe["httpGet"]["port"] for probe in probes} == {"health"}
    url = compose["healthcheck"]["test"][-1]
    assert url.startswith(f"http://127.0.0.1:{ports(json.loads(instruction('CMD')))[3]}/")
    with health_address(Status(phase="serving"), "127.0.0.1", 0) as address:
        for path in [*(probe["httpGet"]["path"] for probe in probes), "/" + url.rpartition("/")[2]]:
            with urlopen(address + path) as answer:  # noqa: S310
                assert answer.status == 200


def test_killed_processes_are_reaped(pod: Any, compose: Any) -> None:
    """By a process 1 that is not `serve`, which waits for its own children only."""
    assert pod["shareProcessNamespace"]
    assert compose["init"]


def test_the_times_are_long_enough(pod: Any, container: Any, compose: Any) -> None:
    startup = container["startupProbe"]
    patience = startup["periodSeconds"] * startup["failureThreshold"]
    assert patience > options(container["args"])["startup_timeout"]
    (_, before) = container["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] >= int(before) + STOP_SECONDS
    assert int(compose["stop_grace_period"].removesuffix("s")) >= STOP_SECONDS
    start = int(compose["healthcheck"]["start_period"].removesuffix("s"))
    assert start > options(json.loads(instruction("CMD")))["startup_timeout"]


def test_only_what_the_server_writes_to_can_be_written(pod: Any, container: Any, compose: Any) -> None:
    written = set(_discovery._WRITTEN_TO)
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert set(mounts) == written
    volumes = {volume["name"]: volume["emptyDir"] for volume in pod["volumes"]}
    assert all(volumes[name]["medium"] == "Memory" for name in mounts.values())
    assert compose["read_only"] is True
    (temporary,) = compose["tmpfs"]
    # noexec is Docker's default there, and refused by the server.
    assert "exec" in temporary.partition(":")[2].split(",")
    assert {temporary.partition(":")[0], "/dev/shm"} == written  # noqa: S108
    assert int(compose["shm_size"].removesuffix("m")) > 64


def test_nothing_runs_as_root(pod: Any, container: Any, compose: Any) -> None:
    user = pod["securityContext"]["runAsUser"]
    assert user > 0
    assert instruction("USER") == f"{user}:{pod['securityContext']['runAsGroup']}"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"]["drop"] == compose["cap_drop"] == ["ALL"]


def test_the_autoscaler_reads_a_metric_that_the_server_has(server: TritonProcess) -> None:
    (rule,) = yaml.safe_load((FILES / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    (metric,) = rendered("autoscaler")["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]
    series = rule["seriesQuery"].partition("{")[0]
    with urlopen(server.endpoints.metrics) as answer:  # noqa: S310
        assert f"\n{series}{{" in answer.read().decode()
    annotations = rendered("deployment")["spec"]["template"]["metadata"]["annotations"]
    read = options(rendered("deployment")["spec"]["template"]["spec"]["containers"][0]["args"])
    assert int(annotations["prometheus.io/port"]) == read["metrics_port"]


def test_the_autoscaler_and_the_service_find_the_pods() -> None:
    deployment = rendered("deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert rendered("service")["spec"]["selector"] == labels
    assert rendered("disruption-budget")["spec"]["selector"]["matchLabels"] == labels
    target = rendered("autoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == (deployment["kind"], deployment["metadata"]["name"])
