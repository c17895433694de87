"""Versions of a deployment: added whole or not at all, activated, rolled back and bounded in number."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lnlattennet._cli import app
from lnlattennet._program_folder import locked
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import ServingError
from lnlattennet.serving.cli._versions import activate_version
from lnlattennet.serving.triton._deployment import Deployment, link, serving_lock
from lnlattennet.serving.triton._model_config import read_config
from lnlattennet.serving.triton._repository import add_version
from lnlattennet.serving.triton._service import _existing

pytest.importorskip("tritonclient.grpc")

KILLED_IN_THE_MIDDLE = """
import os, signal, sys
from pathlib import Path
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.serving.triton import _repository
_repository.check_deployment = lambda _: os.kill(os.getpid(), signal.SIGKILL)
_repository.add_version(Bundle.load(Path(sys.argv[1])), Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def bundle(bundle_path: Path) -> Bundle:
    return Bundle.load(bundle_path)


def numbers(deployment: Deployment) -> list[int]:
    return [version.number for version in deployment.versions()]


def test_only_the_first_version_is_active_by_itself(bundle: Bundle, tmp_path: Path) -> None:
    deployment = Deployment(tmp_path / "deployment")
    first = add_version(bundle, deployment.path)
    assert deployment.active == first
    second = add_version(bundle, deployment.path, engine="openvino-fp32")
    assert deployment.active == first
    deployment.activate(second)
    assert Bundle.load(deployment.bundle).manifest.selected == "openvino-fp32"
    assert deployment.previous() == first
    deployment.activate(first)
    assert deployment.previous() == second
    # No link names a folder outside, so the deployment can be moved.
    moved = Deployment(deployment.path.rename(tmp_path / "moved"))
    assert moved.models.is_dir()
    assert moved.active.number == 1


def test_versions_can_be_loaded_beside_each_other(bundle: Bundle, tmp_path: Path) -> None:
    first = add_version(bundle, tmp_path / "deployment", {"python", "onnxruntime"}, "onnxruntime-fp32")
    second = add_version(bundle, tmp_path / "deployment", {"python", "onnxruntime"}, "onnxruntime-fp32")
    names = [{path.name for path in version.models.iterdir()} for version in (first, second)]
    public = {"expression", "expression_faces", "expression_fused", "expression_stream", "expression_tensor"}
    assert names[0] & names[1] == public | {"lnlattennet"}
    assert names[1] - names[0] == {
        "expression_pipeline_2",
        "expression_postprocess_2",
        "expression_smoothing_2",
        "lnlattennet_engine_2",
    }
    for name in names[1]:
        config = read_config(second.models / name / "config.pbtxt")
        assert {step.model_name for step in config.ensemble_scheduling.step} <= names[1] - public
    assert (second.models / "expression" / "2").is_dir()
    assert (
        read_config(second.models / "expression" / "config.pbtxt").parameters["version"].string_value == "2"
    )


def test_the_oldest_versions_are_removed_but_not_those_in_use(bundle: Bundle, tmp_path: Path) -> None:
    deployment = Deployment(tmp_path / "deployment")
    first = add_version(bundle, deployment.path)
    deployment.activate(add_version(bundle, deployment.path))
    for _ in range(3):
        add_version(bundle, deployment.path, keep=3)
    assert numbers(deployment) == [1, 2, 5]
    assert deployment.previous() == first
    newest = add_version(bundle, deployment.path, keep=2)
    assert numbers(deployment) == [1, 2, 6]
    assert newest.models.is_dir()


def test_a_deploy_that_is_killed_leaves_the_old_version(bundle: Bundle, tmp_path: Path) -> None:
    deployment = Deployment(tmp_path / "deployment")
    first = add_version(bundle, deployment.path)
    command = [sys.executable, "-P", "-c", KILLED_IN_THE_MIDDLE, str(bundle.path), str(deployment.path)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert numbers(deployment) == [1]
    assert deployment.active == first
    assert len(list(deployment.folder_of_versions.glob(".2.*"))) == 1
    assert add_version(bundle, deployment.path).number == 2
    assert list(deployment.folder_of_versions.glob(".*")) == []


def test_a_served_deployment_gets_a_version(bundle: Bundle, tmp_path: Path) -> None:
    first = add_version(bundle, tmp_path / "deployment")
    with serving_lock(tmp_path / "deployment"):
        add_version(bundle, tmp_path / "deployment")
        with pytest.raises(ServingError, match="is being served by another process"):
            serving_lock(tmp_path / "deployment").__enter__()
    assert Deployment(tmp_path / "deployment").active == first


def test_a_look_whether_it_is_served_keeps_nobody_out(tmp_path: Path) -> None:
    looking = ExitStack()
    looking.enter_context(locked(tmp_path, shared=True))
    assert Deployment(tmp_path).served() is None
    end = threading.Timer(0.05, looking.close)
    end.start()
    with serving_lock(tmp_path):
        assert Deployment(tmp_path).served() == 0
    end.join()


def test_the_command_lists_and_activates(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "deployment"
    run = CliRunner().invoke
    assert run(app, ["deploy", str(bundle.path), "-o", str(folder), "--json"]).exit_code == 0
    deployed = run(app, ["deploy", str(bundle.path), "-o", str(folder), "--activate", "--json"])
    assert (json.loads(deployed.stdout)["version"], json.loads(deployed.stdout)["active"]) == (2, 2)
    listed = run(app, ["versions", str(folder), "--rollback", "--json"])
    versions = json.loads(listed.stdout)["versions"]
    assert [(version["version"], version["active"]) for version in versions] == [(1, True), (2, False)]
    assert versions[0]["bundle"] == versions[1]["bundle"]
    assert versions[0]["deployed"] < versions[1]["deployed"]
    with pytest.raises(ServingError, match="has no version 7; it has: 1, 2"):
        run(app, ["versions", str(folder), "--activate", "7"], catch_exceptions=False)
    with pytest.raises(ServingError, match="is no deployment"):
        run(app, ["versions", str(tmp_path)], catch_exceptions=False)


@pytest.mark.parametrize("damage", ["bundle/manifest.json", "version.json"])
def test_a_damaged_version_is_listed(bundle: Bundle, tmp_path: Path, damage: str) -> None:
    folder, run = tmp_path / "deployment", CliRunner().invoke
    add_version(bundle, folder)
    second = add_version(bundle, folder)
    (second.path / damage).write_text("{")
    listed = run(app, ["versions", str(folder), "--json"], catch_exceptions=False)
    whole, damaged = json.loads(listed.stdout)["versions"]
    assert (whole["damaged"], whole["engine"]) == (None, bundle.manifest.selected)
    assert damage.rpartition("/")[2] in damaged["damaged"]
    assert damaged["deployed"] is None
    assert "damaged:" in run(app, ["versions", str(folder)], catch_exceptions=False).stdout


def test_a_version_that_cannot_be_served_is_not_activated(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "deployment"
    first, second = add_version(bundle, folder), add_version(bundle, folder)
    (second.bundle / "manifest.json").write_text("{")
    with pytest.raises(ServingError, match=r"versions/2 cannot be served as it is"):
        CliRunner().invoke(app, ["versions", str(folder), "--activate", "2"], catch_exceptions=False)
    assert Deployment(folder).active == first


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (lambda deployment, release: release.set(), "ended; its next start serves version 2"),
        (
            lambda deployment, release: deployment.activate(deployment.version(1)),
            "another process activated version 1 meanwhile",
        ),
    ],
)
def test_activation_does_not_wait_for_what_cannot_come(
    bundle: Bundle, tmp_path: Path, then: Callable[[Deployment, threading.Event], None], said: str
) -> None:
    deployment = Deployment(tmp_path / "deployment")
    add_version(bundle, deployment.path)
    second = add_version(bundle, deployment.path)
    locked, release = threading.Event(), threading.Event()

    def serve() -> None:
        with serving_lock(deployment.path):
            deployment.note_served(deployment.version(1))
            locked.set()
            release.wait()

    def act() -> None:
        while deployment.active != second:
            time.sleep(0.01)
        then(deployment, release)

    threads = [threading.Thread(target=target) for target in (serve, act)]
    try:
        for thread in threads:
            thread.start()
        assert locked.wait(30)
        with pytest.raises(ServingError, match=said):
            activate_version(deployment, second)
    finally:
        release.set()
        for thread in threads:
            thread.join()


def test_a_copy_without_links_is_named(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path / "deployment")
    for name in ("models", "bundle"):
        (deployment.folder_of_versions / "1" / name).mkdir(parents=True)
        link(deployment.path / name, Path("active", name))
    deployment.activate(deployment.version(1))
    assert deployment.active.number == 1
    # As `cp -L` and object stores copy.
    copy = shutil.copytree(deployment.path, tmp_path / "copy", symlinks=False)
    said = r"copy/active must be a link to a version.*cp -a"
    with pytest.raises(ServingError, match=said):
        CliRunner().invoke(app, ["versions", str(copy)], catch_exceptions=False)
    with pytest.raises(ServingError, match=said):
        _existing(copy, deploy_to=None)


def test_there_may_be_no_version_to_return_to(bundle: Bundle, tmp_path: Path) -> None:
    add_version(bundle, tmp_path / "deployment")
    add_version(bundle, tmp_path / "deployment")
    with pytest.raises(ServingError, match=r"no version of .* was active before version 1"):
        Deployment(tmp_path / "deployment").previous()
