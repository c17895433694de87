"""A backend is a module and one line of the registry: its INFO carries it into every part that offers one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lnlattennet.bundle._export_options import ExportOptions, SelectionOptions
from lnlattennet.bundle.doctor._local import check_local
from lnlattennet.bundle.doctor._rebuild import rebuild_command
from lnlattennet.bundle.doctor._triton import check_triton
from lnlattennet.bundle.doctor._triton_releases import triton_release
from lnlattennet.export._candidate import Candidate
from lnlattennet.export._plan import plan_jobs
from lnlattennet.export.selection._strategy import select
from lnlattennet.model._config import NetworkConfig
from lnlattennet.runtimes._base import Available, BackendInfo
from lnlattennet.runtimes._machine import this_machine
from lnlattennet.runtimes._registry import BACKENDS, backend_infos
from lnlattennet.runtimes._requirements import Requirements
from lnlattennet.runtimes.tensorrt._builder_config import TensorRTBuilderConfig
from tests.bundle.manifests import OPTIONS, engine, manifest

RUNTIMES = ("torch", "onnxruntime", "openvino", "tensorrt", "tensorrt_rtx")

HELP = """
import sys
from lnlattennet.runtimes import _registry
_registry.BACKENDS["pretend"] = "_pretend"
from lnlattennet.export._cli import main
sys.argv = ["export-engine", "--help"]
main()
"""


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> BackendInfo:
    """A backend of compiled code, the simplest of all, whose runtime two distributions bring."""
    module = ModuleType("lnlattennet.runtimes._pretend")
    info = BackendInfo(
        name="pretend",
        complexity=-1,
        packages={"pretend": ("numpy",)},
        machine_code=True,
        builder_flags=("--pretend-level",),
    )
    vars(module).update(
        INFO=info, availability=lambda: Available({"pretend": "1.0"}), unsupported_reason=lambda plan: None
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(BACKENDS, "pretend", "_pretend")
    return info


def test_every_module_has_the_name_that_it_is_registered_under() -> None:
    assert [info.name for info in backend_infos()] == list(BACKENDS)
    assert len({info.complexity for info in backend_infos()}) == len(BACKENDS)


def test_reading_the_facts_imports_no_runtime() -> None:
    program = (
        "import sys; from lnlattennet.runtimes._registry import backend_infos; backend_infos(); "
        f"print(*(name for name in {RUNTIMES} if name in sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).split() == []


def test_the_command_offers_a_new_backend() -> None:
    text = subprocess.check_output([sys.executable, "-c", HELP], text=True)
    assert "pretend" in text


def test_an_export_plans_a_new_backend(pretend: BackendInfo) -> None:
    jobs, _ = plan_jobs(ExportOptions(checkpoint=Path("c"), output=Path("o")), NetworkConfig())
    assert "pretend-fp32" in [job.name for job in jobs]


def test_the_selection_ranks_a_new_backend(pretend: BackendInfo) -> None:
    samples = {1: [1.0, 1.1, 1.2, 1.0, 1.1]}
    same_speed = [
        Candidate(engine(f"{name}-fp32"), Path(name), {}, samples=samples)
        for name in ("onnxruntime", "pretend")
    ]
    assert select(same_speed, SelectionOptions()).name == "pretend-fp32"


def test_the_doctor_knows_a_new_backend(pretend: BackendInfo) -> None:
    machine = this_machine(["pretend"])
    assert machine.packages["pretend"]  # as numpy brings it
    compiled = engine(
        "pretend-fp32",
        requires=Requirements(device="cpu", packages={"pretend": ""}, cpu_features=["no_such_instruction"]),
    )
    bundle = manifest(
        compiled,
        engine(),
        options=OPTIONS.model_copy(update={"builder": TensorRTBuilderConfig(optimization_level=3)}),
    )
    local, _ = check_local(bundle, machine)
    assert local.verdict == "cannot"
    assert "its code has instructions" in local.reasons[0]
    in_triton, _ = check_triton(bundle, triton_release("26.04"))
    assert in_triton.where == "python"
    assert "--builder-optimization-level 3" in rebuild_command(bundle, bundle.engines[0])
    assert "--builder-optimization-level" not in rebuild_command(bundle, bundle.engines[1])
