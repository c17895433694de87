"""A running server changes to another version and back: no request fails, every answer is of one version."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lnlattennet._cli import main
from lnlattennet.bundle._bundle import Bundle, hash_file
from lnlattennet.errors import ServingError
from lnlattennet.runtimes._requirements import Requirements
from lnlattennet.serving import Client
from lnlattennet.serving.supervision._hot_swap import HotSwap
from lnlattennet.serving.supervision._known_face import KnownAnswers, known_face
from lnlattennet.serving.triton._deployment import Deployment, Version, serving_lock
from lnlattennet.serving.triton._loaded_models import LoadedModels
from lnlattennet.serving.triton._model_names import ENSEMBLE, FUSED
from lnlattennet.serving.triton._repository import add_version
from tests.commands import call
from tests.serving.supervision.asker import Asker, asking

COMMAND = Path(sys.executable).with_name("lnlattennet")
OPTIONS = ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0", "--json"]


@pytest.fixture(scope="module")
def served(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A served deployment whose second version names its classes otherwise, and has another engine."""
    folder = tmp_path_factory.mktemp("swapped")
    deployment = Deployment(folder / "deployment")
    add_version(Bundle.load(bundle_path), deployment.path, engine="onnxruntime-fp32")
    bundle_copy = Path(shutil.copytree(bundle_path, folder / "bundle"))
    manifest = json.loads((bundle_copy / "manifest.json").read_text())
    manifest["class_names"] = [f"second {name}" for name in manifest["class_names"]]
    (bundle_copy / "manifest.json").write_text(json.dumps(manifest))
    add_version(Bundle.load(bundle_copy), deployment.path, engine="openvino-fp32")
    with (folder / "log").open("w") as log:
        command = [str(COMMAND), "serve", str(deployment.path), *OPTIONS]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout
    at = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
    try:
        yield SimpleNamespace(deployment=deployment, log=folder / "log", urls=(at["grpc"], at["http"]))
    finally:
        process.terminate()
        process.communicate(timeout=60)


def change(served: SimpleNamespace, *choice: str) -> subprocess.CompletedProcess[str]:
    """Run `lnlattennet versions`, which waits until the server serves the version or refuses it."""
    return call(main, "lnlattennet", "versions", served.deployment.path, *choice, "--json")


def broken_version(deployment: Deployment, bundle: Bundle) -> Version:
    """A version whose files fit its manifest, but whose engine no runtime can load."""
    version = add_version(bundle, deployment.path, engine="onnxruntime-fp32")
    manifest = Bundle.load(version.bundle).manifest
    name = manifest.engine().file
    (version.bundle / name).write_bytes(b"no engine")
    forged = manifest.model_copy(update={"files": manifest.files | {name: hash_file(version.bundle / name)}})
    (version.bundle / "manifest.json").write_text(forged.model_dump_json())
    return version


def foreign_version(deployment: Deployment, bundle: Bundle) -> Version:
    """A version whose engine was built for another version of its runtime."""
    version = add_version(bundle, deployment.path, engine="onnxruntime-fp32")
    manifest = Bundle.load(version.bundle).manifest
    needs = Requirements(device="cpu", packages={"onnxruntime": "==1.0"})
    engine = manifest.engine().model_copy(update={"requires": needs})
    forged = manifest.model_copy(update={"engines": [engine]})
    (version.bundle / "manifest.json").write_text(forged.model_dump_json())
    return version


@pytest.mark.slow
def test_no_request_fails_while_versions_change(served: SimpleNamespace, bundle_path: Path) -> None:
    deployment: Deployment = served.deployment
    first, second = deployment.versions()
    expected = {
        version.describe()["model_hash"]: list(Bundle.load(version.bundle).manifest.class_names)
        for version in (first, second)
    }
    asks: list[tuple[Callable[[Client], Any], str]] = [
        (lambda client: client.predict(known_face()), ENSEMBLE),
        (lambda client: client.predict(known_face()), FUSED),
        (lambda client: client.predict(known_face(), max_faces=1)[0], ENSEMBLE),
    ]
    askers = [Asker(url, *ask) for url in served.urls for ask in asks]
    with asking(askers):
        for choice, version in ((["--activate", "2"], second), (["--rollback"], first)):
            changed = change(served, *choice)
            assert changed.returncode == 0, changed.stderr
            listed = json.loads(changed.stdout)["versions"]
            assert [one["version"] for one in listed if one["active"] and one["served"]] == [version.number]
        broken = broken_version(deployment, Bundle.load(bundle_path))
        refused = change(served, "--activate", "3")
        foreign_version(deployment, Bundle.load(bundle_path))
        foreign = change(served, "--activate", "4")
    for asker in askers:
        for answer in asker.answers:
            # The label and the classes are those of the network that the hash names.
            assert list(answer.probabilities) == expected[answer.model_hash]
            assert answer.label == max(answer.probabilities, key=answer.probabilities.__getitem__)
        assert {answer.model_hash for answer in asker.answers} == set(expected)
        assert asker.answers[-1].model_hash == first.describe()["model_hash"]
    assert "is not an ONNX file" in broken.refused
    assert refused.returncode == 1
    assert f"the server refused version 3, and version 1 goes on: {broken.refused}" in refused.stderr
    assert foreign.returncode == 1
    assert "engine onnxruntime-fp32, which is to be served, cannot run here" in foreign.stderr
    listed = json.loads(change(served).stdout)["versions"]
    assert [one["version"] for one in listed if one["active"] and one["served"]] == [1]
    assert listed[2]["refused"] == broken.refused
    assert "version 3 is refused, and version 1 goes on" in served.log.read_text()
    assert deployment.active == first


@pytest.fixture
def swap(bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HotSwap]:
    """A server whose version 2 is activated; every model that is asked answers."""
    deployment = Deployment(tmp_path / "deployment")
    add_version(Bundle.load(bundle_path), deployment.path)
    with serving_lock(deployment.path):
        follower = HotSwap(deployment, lambda _: nullcontext())  # type: ignore[arg-type, return-value]
        follower.started()
        deployment.activate(add_version(Bundle.load(bundle_path), deployment.path))
        monkeypatch.setattr(KnownAnswers, "check", lambda *_: True)
        yield follower


def running(**calls: Callable[..., None]) -> Any:
    """A server that is well, but for the calls that are given."""
    return SimpleNamespace(**{"check": lambda: None, "serve_version": lambda _: None} | calls)


def test_a_server_that_died_during_a_trial_is_no_fault_of_the_version(swap: HotSwap, tmp_path: Path) -> None:
    def dead() -> None:
        raise ServingError("the server stopped by itself")

    second = Deployment(tmp_path / "deployment").active
    with pytest.raises(ServingError, match="stopped by itself"):
        swap.follow(running(check=dead))
    assert second.refused == ""
    # The next server tries it again.
    assert swap.follow(running()) is not None
    assert swap.version == second


def test_a_full_disk_ends_a_change_and_not_the_service(swap: HotSwap, tmp_path: Path) -> None:
    def full(version: Version) -> None:
        if version == second:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    deployment = Deployment(tmp_path / "deployment")
    first, second = deployment.versions()
    assert swap.follow(running(serve_version=full)) is None
    assert "No space left" in second.refused
    assert deployment.active == swap.version == first


def test_a_refusal_that_cannot_be_noted_goes_on_with_the_version_before(
    swap: HotSwap, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deployment = Deployment(tmp_path / "deployment")
    first, second = deployment.versions()
    (second.models / ENSEMBLE / "config.pbtxt").unlink()
    # In place of the file to write.
    (second.path / "refused" / "in").mkdir(parents=True)
    with caplog.at_level("WARNING", "lnlattennet"):
        assert swap.follow(running()) is None
    assert "cannot note in the deployment" in caplog.text
    assert deployment.active == swap.version == first


def test_files_of_another_user_are_named(
    swap: HotSwap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    deployment = Deployment(tmp_path / "deployment")
    loaded = LoadedModels(deployment)
    loaded.start_with(swap.version)
    monkeypatch.setattr(os, "utime", refused)
    with pytest.raises(ServingError, match="serve as the user who wrote the deployment"):
        loaded.touch(ENSEMBLE)
