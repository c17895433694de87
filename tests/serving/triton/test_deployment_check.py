"""The check of a deployment: every rule, broken once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import ServingError
from lnlattennet.serving.triton._deployment import Deployment
from lnlattennet.serving.triton._deployment_check import check_deployment
from lnlattennet.serving.triton._model_config import read_config, write_config
from lnlattennet.serving.triton._repository import deploy


@pytest.fixture(scope="module")
def sound(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    folder = tmp_path_factory.mktemp("sound") / "deployment"
    return deploy(Bundle.load(bundle_path), folder, {"python", "onnxruntime"}, "onnxruntime-fp32")


@pytest.fixture
def deployment(sound: Deployment, tmp_path: Path) -> Deployment:
    return Deployment(Path(shutil.copytree(sound.path, tmp_path / "deployment")))


def test_what_deploy_writes_is_sound(sound: Deployment) -> None:
    check_deployment(sound)


def _drop_input(config: Any) -> None:
    del config.ensemble_scheduling.step[1].input_map["image"]


def _unknown_step(config: Any) -> None:
    config.ensemble_scheduling.step[1].model_name = "engine"


def _unknown_tensor(config: Any) -> None:
    config.ensemble_scheduling.step[1].input_map["image"] = "faces"


def _other_shape(config: Any) -> None:
    config.input[0].dims[:] = [3, 64, 65]


def _other_output_type(config: Any) -> None:
    config.output[1].data_type = config.output[0].data_type


def _large_batch(config: Any) -> None:
    config.max_batch_size = 4096


def _large_warmup(config: Any) -> None:
    config.model_warmup[0].batch_size = 4096


def _one_instance(config: Any) -> None:
    config.instance_group[0].count = 1


def _no_batch(config: Any) -> None:
    config.max_batch_size = 0


def _other_name(config: Any) -> None:
    config.name = "emotion"


@pytest.mark.parametrize(
    ("model", "change", "message"),
    [
        ("expression", _drop_input, "expression: its step 'lnlattennet_engine' gets no input 'image'"),
        ("expression", _unknown_step, "expression: its step 'engine' is no model of the deployment"),
        ("expression", _unknown_tensor, "no step before 'lnlattennet_engine' gives 'faces'"),
        ("lnlattennet_engine", _other_shape, "has another type or shape than 'lnlattennet_engine' takes"),
        ("expression", _other_output_type, "'probabilities' has another type or shape than its step gives"),
        ("expression_fused", _large_batch, "max_batch_size 4096 is above 8, the largest batch of the engine"),
        (
            "lnlattennet_engine",
            _large_warmup,
            "warm-up 'one_face' has a larger batch than max_batch_size",
        ),
        (
            "expression_pipeline",
            _one_instance,
            "with one instance and a default_queue_policy",
        ),
        ("expression_pipeline", _no_batch, "dynamic_batching forms no batch"),
        ("expression_faces", _other_name, "says name: 'emotion', which must be that of its folder"),
    ],
)
def test_a_broken_configuration_is_named(
    deployment: Deployment, model: str, change: Callable[[Any], None], message: str
) -> None:
    path = deployment.models / model / "config.pbtxt"
    config = read_config(path)
    change(config)
    write_config(config, path)
    with pytest.raises(ServingError, match="cannot be served as it is") as caught:
        check_deployment(deployment)
    assert message in str(caught.value)


def test_broken_files_are_all_named(deployment: Deployment) -> None:
    models = deployment.models
    shutil.rmtree(models / "expression_faces")
    (models / "expression_fused" / "config.pbtxt").write_text("name: {")
    (models / "lnlattennet_engine" / "1_old").mkdir()
    (models / "lnlattennet_engine" / "01").mkdir()
    shutil.rmtree(models / "expression_pipeline" / "1")
    (models / "expression" / "labels.txt").write_text("joy\n")
    with pytest.raises(ServingError) as caught:
        check_deployment(deployment)
    for message in (
        "expression_faces: the model is missing",
        "expression_fused: config.pbtxt cannot be read",
        "lnlattennet_engine: Triton reads the folder '1_old' as a version",
        "lnlattennet_engine: Triton reads the folder '01' as a version",
        "expression_pipeline: it has no version folder",
        "expression: labels.txt does not hold the bundle's class names",
    ):
        assert message in str(caught.value)


def test_a_changed_bundle_is_named(deployment: Deployment) -> None:
    manifest = Bundle.load(deployment.bundle).manifest
    (deployment.bundle / manifest.engine(manifest.selected).file).write_bytes(b"damaged")
    with pytest.raises(ServingError, match=r"bundle: .*was changed after the export"):
        check_deployment(deployment)
