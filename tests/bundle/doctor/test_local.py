"""`lnlattennet doctor`: requirements against this machine, and the output of the command."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._cli import doctor
from lnlattennet.bundle._manifest import EngineRecord
from lnlattennet.bundle.doctor._local import check_local, packages_to_run, runnable_engines
from lnlattennet.errors import BundleError, UnavailableError, UsageError
from lnlattennet.machine._hardware import Gpu
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._machine import Machine
from lnlattennet.runtimes._requirements import Requirements
from tests.bundle.manifests import engine, latency, manifest, write_bundle

L4 = Gpu("NVIDIA L4", "8.9", "595.58.03")
HERE = Machine(
    platform="Linux x86_64",
    python="3.11.2",
    cpu_features=frozenset({"avx2", "avx512f"}),
    packages={"openvino": "2026.4.1", "torch": "2.13.0+cpu", "tensorrt": "10.16.1.11"},
    no_gpu="no NVIDIA driver is installed",
)
WITH_GPU = Machine(**(vars(HERE) | {"gpus": (L4,), "no_gpu": ""}))


def check(machine: Machine = HERE, name: str = "openvino-int8", **needs: Any) -> Any:
    requirements = {"device": "cpu", "packages": {"openvino": ">=2026.0"}} | needs
    [found] = check_local(manifest(engine(name, requires=Requirements(**requirements))), machine)
    return found


def run(*arguments: object) -> Any:
    app = typer.Typer()
    app.command()(doctor)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_an_engine_whose_needs_are_met_runs_and_there_is_nothing_to_do() -> None:
    found = check(platform="Linux x86_64", cpu_features=["avx2"])
    assert (found.verdict, found.reasons, found.remedies) == ("runs", (), ())


@pytest.mark.parametrize(
    ("needs", "reason", "remedy"),
    [
        ({"packages": {"onnxruntime": ">=1.20"}}, "onnxruntime is not installed", "'onnxruntime>=1.20'"),
        ({"packages": {"openvino": "<2026"}}, "needs openvino <2026, here is 2026.4.1", "--backend openvino"),
        ({"platform": "Linux aarch64"}, "built for Linux aarch64, this is Linux x86_64", "export-engine"),
        ({"device": "cuda"}, "needs a GPU: no NVIDIA driver is installed", "machine with an NVIDIA GPU"),
        (
            {"device": "cuda", "compute_capabilities": ["8.0", "9.0"]},
            "needs a GPU",
            "of compute capability 8.0 or 9.0",
        ),
    ],
)
def test_missing_requirements_are_named_with_their_remedy(
    needs: dict[str, Any], reason: str, remedy: str
) -> None:
    found = check(**needs)
    assert found.verdict == "cannot"
    assert reason in found.reasons[0]
    assert remedy in found.remedies[0]


def test_a_missing_face_finder_is_named_for_every_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise UnavailableError("the face finder haar is missing: pip install it")

    assert check().verdict == "runs"
    monkeypatch.setattr("lnlattennet.images.finders._haar.create", missing)
    assert check().reasons == ("the face finder haar is missing: pip install it",)
    assert check().verdict == "cannot"
    refused = str(run(write_bundle(tmp_path, manifest(engine()))).exception)
    assert refused.endswith("the face finder haar is missing: pip install it. Engines that can: none")


def test_another_version_of_the_face_finder_is_told() -> None:
    trained = dataclasses.replace(Preprocessing(), face_finder_version="0.1")
    record = engine("openvino-int8", requires=Requirements(device="cpu", packages={"openvino": ">=2026.0"}))
    [report] = check_local(manifest(record).model_copy(update={"preprocessing": trained}), HERE)
    assert report.verdict == "runs"
    assert "the network was trained with faces of haar 0.1, and " in report.reasons[0]


@pytest.mark.parametrize(
    ("name", "packages", "needed"),
    [
        ("tensorrt-fp32", {"tensorrt_rtx": "==1.7.1.116"}, {"cuda-bindings": ">=12.8"}),
        ("tensorrt-fp32", {"tensorrt": "==10.16.1.11"}, {"cuda-bindings": ">=12.8"}),
        ("tensorrt-fp32", {"tensorrt": "==10.9", "cuda-bindings": ">=12.8"}, {}),
        ("onnxruntime-fp32", {"onnxruntime": ">=1.15"}, {"onnxruntime": ">=1.15,>=1.26"}),
        ("onnxruntime-fp32", {"onnxruntime-gpu": ">=1.15"}, {"onnxruntime-gpu": ">=1.15,>=1.26"}),
        ("onnxruntime-fp32", {"onnxruntime": ">=1.26"}, {}),
        ("torch-fp32", {"torch": ">=2.10", "safetensors": ">=0.5"}, {}),
    ],
)
def test_what_a_runner_imports_is_needed_even_if_an_older_manifest_leaves_it_out(
    name: str, packages: dict[str, str], needed: dict[str, str]
) -> None:
    record = engine(name, requires=Requirements(device="cpu", packages=packages))
    assert packages_to_run(record) == packages | needed
    [found] = check_local(manifest(record), Machine(**(vars(HERE) | {"packages": {}})))
    assert len(found.remedies) == len(packages_to_run(record))
    assert all(remedy.startswith("pip install '") for remedy in found.remedies)


def test_the_engines_that_run_here_come_by_their_latency() -> None:
    def made(name: str, milliseconds: float, package: str) -> EngineRecord:
        requires = Requirements(device="cpu", packages={package: ""})
        return engine(name, requires=requires, latency=[latency(1, milliseconds)])

    bundle = manifest(
        made("openvino-int8", 0.5, "no-such-package"),
        made("onnxruntime-fp32", 3.0, "onnxruntime"),
        made("openvino-fp32", 2.0, "packaging"),
        made("openvino-bf16", 4.0, "packaging"),
    )
    assert runnable_engines(bundle) == ["openvino-fp32", "onnxruntime-fp32", "openvino-bf16"]
    chosen = bundle.model_copy(update={"selected": "openvino-bf16"})
    assert runnable_engines(chosen) == ["openvino-bf16", "openvino-fp32", "onnxruntime-fp32"]


def test_a_build_of_the_same_version_counts_as_that_version() -> None:
    assert check(packages={"torch": "==2.13.0"}).verdict == "runs"
    assert check(packages={"torch": "==2.12.0"}).verdict == "cannot"


def test_a_gpu_must_be_of_the_right_family_and_its_driver_new_enough() -> None:
    cuda: dict[str, Any] = {"device": "cuda", "packages": {"tensorrt": "==10.16.1.11"}}
    good: dict[str, Any] = {"compute_capabilities": ["8.0", "8.9"], "driver": "580.65"}
    assert check(WITH_GPU, **cuda, **good).verdict == "runs"
    other = check(WITH_GPU, **cuda, compute_capabilities=["9.0"])
    assert (other.verdict, other.reasons) == (
        "cannot",
        ("it needs a GPU of compute capability 9.0, here is NVIDIA L4 (8.9)",),
    )
    old = check(WITH_GPU, **cuda, driver="600.10")
    assert old.reasons == ("it needs NVIDIA driver 600.10 or later, here is 595.58.03",)
    assert old.remedies == ("update the NVIDIA driver to 600.10 or later",)


def test_missing_instructions_slow_a_runtime_down_and_stop_compiled_code() -> None:
    slow = check(cpu_features=["avx2", "amx_tile"])
    assert slow.verdict == "slower"
    assert "lacks amx_tile" in slow.reasons[0]
    assert check(name="aoti-fp32", cpu_features=["avx2", "amx_tile"]).verdict == "cannot"
    # Flags of another processor say nothing more than that it is another one.
    other = check(platform="Linux aarch64", cpu_features=["asimd"])
    assert len(other.reasons) == 1


@pytest.mark.parametrize(("here", "warned"), [({"avx2"}, True), ({"avx2", "avx_vnni"}, False)])
def test_without_8_bit_dot_products_other_answers_are_warned_of(here: set[str], warned: bool) -> None:
    machine = Machine(**(vars(HERE) | {"cpu_features": frozenset(here)}))
    found = check(machine, cpu_features=["avx512_vnni"])
    assert found.verdict == "slower"
    assert ("may saturate here" in found.reasons[0]) is warned


def test_an_engine_that_would_run_but_never_did_says_so() -> None:
    unproven = engine(status="built, not run", reason="no GPU")
    [found] = check_local(manifest(unproven), HERE)
    assert found.verdict == "runs"
    assert "never run (no GPU), so its outputs are not verified" in found.reasons[0]


@pytest.mark.parametrize("needs", [{"packages": {"openvino": "about 2026"}}, {"driver": "new"}])
def test_requirements_that_cannot_be_read_are_refused(needs: dict[str, Any]) -> None:
    device = {"device": "cuda"} if "driver" in needs else {}
    with pytest.raises(BundleError, match="openvino-int8"):
        check(WITH_GPU, **device, **needs)


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ("24.10", "release 24.10: has known security holes"),
        ("26.05", "release 26.05"),
        ("25.03dev", "release unknown"),
    ],
)
def test_an_installed_server_is_rated_by_the_release_of_its_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, said: str
) -> None:
    program = tmp_path / "tritonserver"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("NVIDIA_TRITON_SERVER_VERSION", release)
    document = json.loads(run("--json").stdout)
    assert document["server"] == f"{program}, {said}"
    assert document["compilers"]["g++"] == "is not on PATH"


def test_the_command_ends_with_4_if_what_serves_cannot_run_but_prints_first(tmp_path: Path) -> None:
    gpu = engine("tensorrt-fp16", requires=Requirements(device="cuda", packages={"no-such-package": ""}))
    cpu = engine(requires=Requirements(device="cpu", packages={"packaging": ">=24"}))
    good = write_bundle(tmp_path / "good", manifest(cpu, gpu))
    result = run(good)
    assert result.exit_code == 0, result.output
    assert "openvino-int8 (selected)" in result.stdout
    assert "26.04 or later" in result.stdout
    bad = write_bundle(tmp_path / "bad", manifest(gpu, cpu))
    result = run(bad, "--json")
    assert isinstance(result.exception, UnavailableError)
    assert result.exception.exit_code == 4
    assert "no-such-package is not installed" in str(result.exception)
    assert "Engines that can: openvino-int8" in str(result.exception)
    document = json.loads(result.stdout)
    assert (document["selected"], document["selected_runs"]) == ("tensorrt-fp16", False)
    assert [one["verdict"] for one in document["engines"]] == ["cannot", "runs"]


def test_the_command_checks_for_a_container_and_warns_of_an_unsafe_one(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path, manifest())
    document = json.loads(run(bundle, "--target-triton", "26.04", "--json").stdout)
    assert document["machine"] is None
    assert document["target"]["tensorrt"] == "10.16.1.11"
    assert document["engines"][0]["where"] == "python"
    old = run(bundle, "--target-triton", "25.10")
    assert old.exit_code == 0
    assert "Triton 25.10 has known security holes" in old.stdout
    for unknown in ("1.0", ""):  # a script's variable may be empty
        assert isinstance(run(bundle, "--target-triton", unknown).exception, UsageError)
    assert isinstance(run("--target-triton", "26.04").exception, UsageError)


def test_a_bundle_with_changed_files_is_not_checked(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path, manifest())
    (bundle / "engines" / "openvino-int8.xml").write_bytes(b"other")
    result = run(bundle)
    assert isinstance(result.exception, BundleError)
    assert result.stdout == ""


def test_without_a_bundle_the_machine_is_described() -> None:
    result = run()
    assert result.exit_code == 0, result.output
    assert "for development and CI only" in result.stdout
    document = json.loads(run("--json").stdout)
    assert document["packages"]["runtimes"]["onnxruntime"]
    assert document["packages"]["finders"]["opencv-python-headless"]
    assert document["machine"]["cpu_features"]


def test_a_real_bundle_runs_on_the_machine_that_exported_it(bundle_path: Path) -> None:
    selected = Bundle.load(bundle_path).manifest.selected
    result = run(bundle_path, "--json")
    assert result.exit_code == 0, result.output
    verdicts = {one["engine"]: one["verdict"] for one in json.loads(result.stdout)["engines"]}
    assert verdicts[selected] == "runs"
