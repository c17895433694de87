"""Cost of importing the package, and independence from the machine."""

from __future__ import annotations

import ast
import importlib.metadata
import itertools
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lnlattennet

ROOT = Path(__file__).parent.parent


def modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_importing_the_package_imports_no_heavy_module() -> None:
    assert not {"torch", "onnx", "onnxruntime", "cv2", "numpy"} & modules_after("import lnlattennet")


@pytest.mark.parametrize(
    "statement",
    [
        "from lnlattennet.bundle._bundle import Bundle",
        "import lnlattennet; lnlattennet.load, lnlattennet.Client, lnlattennet.Prediction",
        "from lnlattennet.serving.triton.python_models._python_model import PythonModel",
        "import lnlattennet._cli, lnlattennet.export._cli",
    ],
)
def test_running_a_bundle_and_starting_a_command_need_no_torch(statement: str) -> None:
    assert not {"torch", "lightning", "onnx", "tensorrt_rtx"} & modules_after(statement)


def test_the_public_names_can_be_imported() -> None:
    names = "AsyncClient Bundle Client ExportOptions LnlAttenNetError Prediction"
    assert lnlattennet.__all__ == [*names.split(), "__version__", "export_engine", "load"]
    assert all(getattr(lnlattennet, name) for name in lnlattennet.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Bundles'"):
        lnlattennet.Bundles  # noqa: B018


def test_commands_of_serving_load_only_what_their_help_needs() -> None:
    statement = "import lnlattennet.streams.cli._predict, lnlattennet.serving.cli._serve"
    assert not {"numpy", "cv2", "PIL", "pydantic", "rich"} & modules_after(statement)


@pytest.mark.parametrize(
    "command", [["lnlattennet", "--help"], ["export-engine", "--help"], ["lnlattennet", "info"]]
)
def test_every_command_starts(command: list[str]) -> None:
    program = str(Path(sys.executable).with_name(command[0]))
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def imported_modules() -> set[str]:
    """Top-level names of what any module of the package imports, at its head or inside a function."""
    names: set[str] = set()
    for folder in (ROOT / "src" / "lnlattennet").iterdir():
        for path in folder.resolve().rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names.update(alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_every_installed_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = itertools.chain(*project["optional-dependencies"].values())
    declared = {canonicalize_name(Requirement(text).name) for text in [*project["dependencies"], *extras]}
    # They come with onnx, torch, and whatever package has the scheme of an address.
    declared |= set(map(canonicalize_name, ("protobuf", "setuptools", "fsspec")))
    owners = importlib.metadata.packages_distributions()
    for module in imported_modules() - sys.stdlib_module_names - {"lnlattennet"}:
        packages = {canonicalize_name(name) for name in owners.get(module, [])}
        assert not packages or packages & declared, (
            f"{module} is imported, and pyproject.toml has no {packages}"
        )


def test_info_counts_what_the_network_has() -> None:
    import json

    program = str(Path(sys.executable).with_name("lnlattennet"))
    done = subprocess.run(
        [program, "info", "--json"], capture_output=True, text=True, check=True, timeout=120
    )
    from lnlattennet.model._config import NetworkConfig
    from lnlattennet.model._network import LNLAttenNet

    document = json.loads(done.stdout)
    network = LNLAttenNet(NetworkConfig())
    assert document["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    assert {part["name"] for part in document["parts"]} == {name for name, _ in network.named_children()}


def test_flops_equal_a_count_by_hand() -> None:
    """One level, stride 1: every convolution and product of this network, counted from its definition."""
    from lnlattennet.model._config import NetworkConfig
    from lnlattennet.model._network import LNLAttenNet
    from lnlattennet.model._summary import costs

    config = NetworkConfig(
        image_size=16, out_stride=1, grid=2, widths=(4,), channels=5, heads=2, local_features=3,
        affinity_features=6, classes=7,
    )  # fmt: skip
    positions, regions = 16 * 16, 4
    convolutions = positions * (3 * 4 * 9 + 4 * 5)
    attention = 2 * positions * 2 * 5
    local = regions * (2 * 5) * 3
    nonlocal_products = regions * (3 * 5 * 6 + 2 * regions * 6 + 6)
    fusion = (regions * 3 + 6) * 7
    total = 2 * (convolutions + attention + local + nonlocal_products + fusion)
    assert costs(LNLAttenNet(config))["flops"] == total


def test_the_documents_name_the_current_sizes_and_existing_files() -> None:
    import re

    from lnlattennet.model._config import NetworkConfig
    from lnlattennet.model._network import LNLAttenNet
    from lnlattennet.model._summary import costs

    found = costs(LNLAttenNet(NetworkConfig()))
    document = (ROOT / "docs" / "reference" / "network.md").read_text(encoding="utf-8")
    assert f"{found['parameters']:,} parameters" in document
    assert f"{found['flops'] / 1e6:.1f} MFLOP" in document
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "checkpoints" / "README.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_model_repository_holds_no_python_package() -> None:
    assert not list((ROOT / "triton_repo").rglob("__init__.py"))
