"""Names that users may rely on; a change here is a change of the interface and belongs in CHANGELOG.md."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import lnlattennet
from lnlattennet.bundle import read_manifest
from lnlattennet.data import load_dataset
from tests.data.trees import build_ferplus

# fmt: off
PUBLIC = {
    "lnlattennet": (
        "AsyncClient Bundle Client ExportOptions LnlAttenNetError Prediction __version__ export_engine load"
    ),
    "lnlattennet.benchmarks": (
        "attention bundle export faces figures gpu_suite images leaderboard limits network peers programs "
        "scaling serving startup streams training"
    ),
    "lnlattennet.benchmarks.serving": "in_process latency soak stalls",
    "lnlattennet.benchmarks.streams": "score",
    "lnlattennet.benchmarks.training": "augmentation throughput",
    "lnlattennet.bundle": "Bundle EngineRecord Manifest Prediction draw_overlays read_manifest save_overlays",
    "lnlattennet.bundle.doctor": (
        "CompatibilityReport TritonRelease check_local check_triton known_releases rebuild_command "
        "security_advice triton_release"
    ),
    "lnlattennet.data": "DatasetFormat FORMATS Face FaceData load_dataset load_prepared prepared_faces",
    "lnlattennet.data.synthetic": "EXPRESSIONS HELD_OUT Nuisance RenderedFace TRAIN render_face",
    "lnlattennet.evaluation": (
        "Evaluation EvaluationDocument EvaluationOptions ExplanationOptions "
        "Predictor evaluate explain_checkpoint open_predictor write_report"
    ),
    "lnlattennet.export": (
        "CalibrationOptions ExportOptions ExportPlan SelectionOptions VerificationOptions "
        "export_engine plan_export"
    ),
    "lnlattennet.images": "FaceCrop FaceCropper FaceLocation FaceStatus ImageSource decode_image read_image",
    "lnlattennet.images.finders": "FINDERS FaceFinder FinderInfo FoundFace Point finder_infos finder_named",
    "lnlattennet.kernels": "decompositions local_nonlocal_attention nonlocal_attention region_attention",
    "lnlattennet.machine": "",
    "lnlattennet.model": (
        "Checkpoint CheckpointInfo INPUT_NAME JointOutputs LNLAttenNet NetworkConfig OUTPUT_NAMES "
        "Outputs Preprocessing joint_loss load_checkpoint save_checkpoint"
    ),
    "lnlattennet.runtimes": (
        "Available BACKENDS Backend BackendInfo BatchRange BuildSpec EngineFile PrecisionPlan "
        "Requirements Runner TensorRTBuilderConfig Unavailable backend_named"
    ),
    "lnlattennet.serving": (
        "AsyncClient AsyncStream Client Deployment Endpoints LocalPredictor ModelDescription Stream "
        "StreamPrediction TLSConfig TritonProcess TritonServer choose_endpoints deploy find_server load"
    ),
    "lnlattennet.streams": "Columns Frame Model Row",
    "lnlattennet.training": "CrossValidationResult TrainingOptions TrainingResult train",
}
# fmt: on
COMMANDS = {"benchmarks.figures", "benchmarks.serving.latency", "benchmarks.training.augmentation"}
COMMANDS |= {"benchmarks.training.throughput", "benchmarks.serving.in_process", "benchmarks.streams.score"}
COMMANDS |= {"benchmarks.serving.stalls", "benchmarks.leaderboard.fer2013_pixels"}
"""Modules that are run with ``python -m``, so their names are public."""


def packages() -> dict[str, ModuleType]:
    infos = pkgutil.walk_packages(lnlattennet.__path__, "lnlattennet.")
    names = ["lnlattennet", *(info.name for info in infos if info.ispkg)]
    return {name: importlib.import_module(name) for name in names}


def test_packages_offer_what_is_listed_here() -> None:
    offered = {name: package.__all__ for name, package in packages().items() if hasattr(package, "__all__")}
    assert {name: " ".join(sorted(names)) for name, names in offered.items()} == PUBLIC


def test_every_top_level_package_lists_its_names() -> None:
    infos = [info.name for info in pkgutil.iter_modules(lnlattennet.__path__) if info.ispkg]
    assert {f"lnlattennet.{name}" for name in infos} <= set(PUBLIC)


@pytest.mark.parametrize("package", PUBLIC)
def test_a_public_name_can_be_imported(package: str) -> None:
    for name in PUBLIC[package].split():
        if not hasattr(importlib.import_module(package), name):
            importlib.import_module(f"{package}.{name}")


def test_a_package_has_no_other_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'lnlattennet' has no attribute 'nothing'"):
        getattr(lnlattennet, "nothing")  # noqa: B009


def test_other_modules_begin_with_an_underscore() -> None:
    infos = pkgutil.walk_packages(lnlattennet.__path__, "lnlattennet.")
    modules = {info.name.removeprefix("lnlattennet.") for info in infos if not info.ispkg}
    public = {name for name in modules if not name.rpartition(".")[2].startswith("_")}
    assert public == {"errors"} | COMMANDS


@pytest.mark.parametrize("package", PUBLIC)
def test_functions_take_paths_as_text_too(package: str) -> None:
    """Whatever users call; options and what functions return hold paths."""
    module = importlib.import_module(package)
    for name in PUBLIC[package].split():
        called = getattr(module, name, None)
        if inspect.isfunction(called):
            for parameter in inspect.signature(called).parameters.values():
                kinds = set(str(parameter.annotation).split(" | "))
                assert "Path" not in kinds or "str" in kinds, f"{package}.{name}: {parameter}"


def test_a_path_as_text_is_the_same_path(bundle_path: Path, tmp_path: Path) -> None:
    build_ferplus(tmp_path / "faces")
    assert load_dataset(str(tmp_path / "faces")).faces == load_dataset(tmp_path / "faces").faces
    assert read_manifest(str(bundle_path)) == read_manifest(bundle_path)
